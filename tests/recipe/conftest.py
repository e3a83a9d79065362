"""Make the recipe's local scripts importable, and one formatted tiny corpus for all tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "egs2" / "bscodec" / "codec1"
sys.path[:0] = [str(HERE), *(str(RECIPE / name) for name in ("local", "study", "utils"))]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with pool/, manifest/, the lists in data/ and the set dump/train/."""
    import tiny_corpus

    root = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(root)
    assert tiny_corpus.run_lists(root, root / "data") == 0
    assert tiny_corpus.run_format(root, root / "data", root / "dump/train") == 0
    return root
