"""The page on language models runs as it stands, and its three ways give the same."""

import re
from pathlib import Path

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.tokens import read_tokens

from ..experiments import write_audio

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/language_model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.M | re.S)


def test_the_page_runs(bscodec):
    pytest.importorskip("pyarrow")
    for i in range(3):
        write_audio(f"recordings/utt{i}.wav", 4000 + 3000 * i)
    for line in "".join(text for kind, text in BLOCKS if kind == "sh").splitlines():
        assert bscodec(line.partition("#")[0].removeprefix("bscodec ")).status == 0
    names = {}
    exec("".join(text for kind, text in BLOCKS if kind == "python"), names)
    bscodec("tokenize recordings -o lm --format speechlm")
    sizes, speechlm = names["sizes"], read_tokens("lm")
    assert len(speechlm) == len(names["from_ark"]) == 3
    for name, codes in speechlm.items():
        expected = (codes + np.cumsum([0, *sizes[:-1]])).ravel()
        for way in ("from_ark", "from_rows", "from_tar"):
            assert np.array_equal(names[way][name], expected)
        pattern = names["delayed"](codes, sizes)
        assert pattern.shape == (len(codes) + len(sizes) - 1, len(sizes))
        assert pattern[0, 1] == sizes[1] and pattern[0, 0] == codes[0, 0]
