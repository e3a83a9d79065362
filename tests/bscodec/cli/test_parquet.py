"""Tokens as Parquet: rows that other libraries read, and that ours reads like any other format."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.tokens import read_tokens
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError
from espnet2.gan_codec.bscodec.tokens.parquet import ROWS, Parquet, ParquetFile

from ..experiments import assert_one_error, tree, write_audio
from .corpus import contents, write_corpus

LINE = "tokenize wav.scp -o out --format parquet --shard-size 4 --nj 1"


@pytest.fixture
def shards(bscodec, workplace):
    """A folder of tokens, one utterance of which could not be coded."""
    pytest.importorskip("pyarrow")
    write_corpus()
    with open("wav.scp", "a") as file:
        file.write("gone gone.wav\n")
    assert bscodec(LINE).status == 0
    return sorted(map(str, Path("out/shards").glob("*.parquet")))


def test_codes_are_those_of_other_formats(bscodec, shards):
    import pyarrow.parquet

    bscodec("tokenize wav.scp -o ark --shard-size 4 --nj 1")
    ark, tokens = read_tokens("ark"), read_tokens("out")
    assert list(ark) == list(tokens)
    for name, codes in tokens.items():
        assert np.array_equal(codes, ark[name]) and codes.dtype == ark[name].dtype == np.int16
        assert tokens.encoded(name) == ark.encoded(name)
    schema = pyarrow.parquet.read_schema(shards[0])
    assert schema.names == ["name", "codes", "frames", "samples"]
    assert json.loads(schema.metadata[b"bscodec"]) == tokens.metadata.to_json()
    assert Path("out/codec.scp").read_text().split("\n")[0] == f"utt0 {shards[0]}"


def test_rows_are_read_by_datasets(shards, tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        "parquet", data_files=shards, split="train", cache_dir=str(tmp_path / "cache")
    )
    tokens = read_tokens("out")
    assert rows["name"][:] == list(tokens)
    for row in rows:
        codes = tokens[row["name"]]
        assert np.array_equal(np.array(row["codes"], dtype=int), codes.T)
        assert row["frames"] == len(codes) and row["samples"] == tokens.num_samples(row["name"])


def test_a_damaged_shard_is_found_and_made_again(bscodec, shards):
    before, path = contents("out"), Path(shards[1])
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(TokensError, match="damaged"):
        read_tokens("out")["utt5"]
    again = bscodec(LINE)
    assert again.status == 0 and "codes.00002.parquet: damaged: made again" in again.err
    assert contents("out") == before


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"no such file"])
def test_what_is_no_parquet_is_one_line(shards, data):
    Path(shards[0]).write_bytes(data)
    with pytest.raises(TokensError, match=r"codes.00001.parquet: damaged at utt2"):
        read_tokens("out", verify=False)["utt2"]


@pytest.mark.parametrize(
    "columns", [{"name": ["a"]}, {"codes": [None]}, {"codes": [[]]}, {"codes": [[["x"]]]},
                {"codes": [[[1, None]]]}, {"codes": [[[1], [1, 2]]]}, {"codes": [[[1.5]]]},
                {"codes": [None, None, None, [[1]]]}, {"codes": [{"a": 1}] * 4}]
)  # fmt: skip
def test_rows_that_are_no_codes_are_one_line(shards, columns):
    import pyarrow as pa
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table(columns), shards[0])
    for name in ("utt0", "utt2"):
        with pytest.raises(TokensError, match="codes.00001.parquet"):
            read_tokens("out", verify=False)[name]


def test_codebooks_and_row_groups_of_any_size(tmp_path):
    pytest.importorskip("pyarrow")
    form = Parquet()
    assert form.dtype((128, 8)) == form.dtype((2**15,)) == np.int16
    sizes = (131072, 4)
    assert form.dtype(sizes) == np.int32
    metadata = SimpleNamespace(codebook_sizes=sizes, dtype="int32", to_json=dict)
    rng = np.random.default_rng(0)
    codes = [rng.integers(sizes, size=(i % 7 + 1, 2)) for i in range(2 * ROWS + 3)]
    path = tmp_path / "a.parquet"
    with open(path, "wb") as file, form.writer(file, metadata) as writer:
        rows = [writer.add(str(i), array, 9) for i, array in enumerate(codes)]
    file = ParquetFile(path)
    for row, array in reversed(list(zip(rows, codes, strict=True))):
        assert np.array_equal(form.read(file, row, metadata), array)
    with pytest.raises(ValueError):
        form.read(file, len(codes), metadata)
    file.close()


def test_without_pyarrow_a_line_says_what_to_install(bscodec, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write_audio("a.wav")
    Path("wav.scp").write_text("a a.wav\n")
    assert_one_error(bscodec(LINE), "pip install 'espnet-bscodec[parquet]'")
    assert [name for name in tree("out") if "shards" in name] == []
    assert FORMATS["parquet"].suffix == ".parquet"
