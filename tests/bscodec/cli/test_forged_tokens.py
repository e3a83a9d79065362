"""Folders of tokens that somebody has changed: one line, little memory, and a second run mends."""

import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.tokens import read_tokens
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.metadata import FORMAT_NAMES, TokensError
from espnet2.gan_codec.bscodec.tokens.shards import file_digest

from ..experiments import assert_one_error, tree, write_audio
from .corpus import contents, write_corpus

DEEP = "[" * 100_000 + "]" * 100_000
INDEX = Path("out/shards/codes.00002.json")


@pytest.fixture
def made(workplace, bscodec):
    write_corpus()
    assert bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4").status == 0


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def forge(**changes):
    """Change the index of a shard, and make its check right."""
    values = json.loads(INDEX.read_text())
    values.pop("check")
    facts = {**values["facts"], **changes.pop("facts", {})}
    values = {**values, "facts": facts, **changes}
    check = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    INDEX.write_text(json.dumps({"check": check, **values}))


META = {
    "utterances": [-1, 10**60, "11", 1.5, None, True],
    "format": [["ark"], "tar", None, 7],
    "codebook_sizes": [[], [2**70, 16], [0, 16], ["16", "16"], 16, [16], [[16]], [True, True]],
    "bands": [[], [[0, 1]] * 200, [[0, float("nan")]], [[1]], "ab", {"a": 1}, [[0, 10**400]]],
    "sampling_rate": [0, -1, 10**40, "24000", 24000.5],
    "shard_size": [0, "a", -5],
    "bitrate": [float("inf"), None, 10**400],
    "model": [3, "", "m" * 70_000, "\ud800"],
    "fingerprint": ["xyz", None, 5],
    "version": [None, 2, [1], 10**30],
    "channels": [0, "every", [1]],
}


@pytest.mark.parametrize("field", META)
def test_a_forged_description_is_one_line(made, little_memory, field):
    original = Path("out/meta.json").read_text()
    for value in META[field]:
        Path("out/meta.json").write_text(original)
        change(Path("out/meta.json"), **{field: value})
        with pytest.raises(TokensError, match="^out/meta.json: ") as error:
            read_tokens("out")
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["", "[]", "null", '{"version": 1}', DEEP, "{", '{"a": "\\x"}'])
def test_a_description_that_is_none(made, text):
    Path("out/meta.json").write_text(text)
    with pytest.raises(TokensError, match="^out/meta.json: damaged"):
        read_tokens("out")


def test_a_description_of_gigabytes_is_not_read(made, little_memory):
    os.truncate("out/meta.json", 40 << 30)
    with pytest.raises(TokensError, match="^out/meta.json: damaged: more than 1 MiB"):
        read_tokens("out")


@pytest.mark.parametrize("count", [10**12, 12, 10, 0])
def test_a_count_that_the_index_does_not_have(made, little_memory, count):
    change(Path("out/meta.json"), utterances=count)
    with pytest.raises(TokensError, match="^out/index.tsv: not as meta.json says"):
        read_tokens("out")["utt5"]


@pytest.mark.parametrize(
    "line", ["utt5\t2\t-5\t1\t1\n", f"utt5\t2\t{2**70}\t1\t1\n", "utt5\t2\t1\n", "utt5" * 70_000]
)
def test_places_that_cannot_be(made, line):
    path = Path("out/index.tsv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], line, *lines[6:]]))
    with pytest.raises(TokensError, match="^out/index.tsv: damaged"):
        dict(read_tokens("out").items())


def rows(*row):
    return {"rows": [list(row)]}


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 5},
        {"rows": [5]},
        {"rows": "abcd"},
        rows("utt4", 0, 1),
        rows(4, 0, 1, 1),
        rows("utt4", "0", 1, 1),
        rows("utt4", 0, -1, 1),
        rows("utt4", 0, 1, 2**70),
        rows("utt4\t\n", 0, 1, 1),
        rows("u" * 70_000, 0, 1, 1),
        {"rows": None},
        {"skipped": [["a", "b", 3]]},
        {"skipped": {"a": 1}},
        {"lines": ["a"]},
        {"data": 5},
        {"facts": {"format": ["ark"]}},
        {"facts": {"codebook_sizes": [2**70, 4]}},
        {"facts": {"shard_size": "4"}},
    ],
)
def test_a_forged_index_of_a_shard_is_made_again(made, bscodec, changes):
    before = contents("out")
    forge(**changes)
    result = bscodec("tokenize wav.scp -o out --nj 1")
    assert result.status == 0 and "4 utterances coded" in result.out
    assert len(result.err.splitlines()) == len(result.notes) == 1 and ": made again" in result.err
    assert contents("out") == before


@pytest.mark.parametrize("text", [DEEP, "[]", '"check"', '{"check": 1}', f'{{"a": {DEEP}}}'])
def test_an_index_of_a_shard_that_is_none_is_made_again(made, bscodec, text):
    before = contents("out")
    INDEX.write_text(text)
    assert bscodec("tokenize wav.scp -o out --nj 1").status == 0
    assert contents("out") == before


@pytest.mark.parametrize("suffix", ["ark", "json"])
def test_a_pipe_is_made_again_and_a_folder_is_one_line(made, bscodec, suffix):
    before = contents("out")
    path = INDEX.with_suffix(f".{suffix}")
    path.unlink()
    os.mkfifo(path)
    assert bscodec("tokenize wav.scp -o out --nj 1").status == 0
    assert contents("out") == before
    path.unlink()
    path.mkdir()
    assert_one_error(bscodec("tokenize wav.scp -o out --nj 1"), f"{path}: Is a directory")
    path.rmdir()
    assert bscodec("tokenize wav.scp -o out --nj 1").status == 0
    assert contents("out") == before


NPY = b"\x93NUMPY"


def npy(shape, dtype="<i2"):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return NPY + b"\1\0" + struct.pack("<H", len(header)) + header


HUGE = [
    npy((10**12, 2)),
    npy((3 << 29, 2)),  # which are there, in a file with holes, but no memory is
    npy((-1, 2)),
    npy((0, 2**80)),
    npy((5, 2), "|O"),
    npy((5, 2), "<i2, <i2"),
    NPY + b"\2\0" + struct.pack("<I", 2**32 - 1),
    NPY + b"\1\0" + struct.pack("<H", 9000) + b"-" * 9000,
    NPY + b"\1\0" + struct.pack("<H", 6000) + b"-" * 6000,
    NPY + b"\7\0" + struct.pack("<H", 10),
    b"",
]
ARK = [
    b"\0BFM " + struct.pack("<bibi", 4, 2**31 - 1, 4, 2),
    b"\0BFM " + struct.pack("<bibi", 4, -1, 4, 2),
    b"\0BFM \4",
    b"\0BFM " + struct.pack("<bibiff", 4, 1, 4, 2, float("nan"), 1e30),
    *(b"NPY\0" + array for array in HUGE),
]
VECTORS = [b"\0B\4" + struct.pack("<i", 2**31 - 2), b"\0B\4" + struct.pack("<i", -2)]


@pytest.mark.parametrize(
    ("form", "data"),
    [("npz", d) for d in HUGE] + [("ark", d) for d in ARK] + [("speechlm", d) for d in VECTORS],
)
def test_codes_that_claim_terabytes_are_one_line(tmp_path, little_memory, form, data):
    from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata

    metadata = TokenMetadata(
        *("m", "0" * 64, 24000, 320, ((0, 1), (1, 2)), (16, 16), 600.0, form, "int16", 4)
    )
    path = tmp_path / "shard"
    path.write_bytes(b"utt " + data)
    os.truncate(path, 8 << 30)  # a file with holes: the header's bytes are there
    with path.open("rb") as file, pytest.raises(ValueError):
        codes = FORMATS[form].read(file, 4, metadata)
        assert codes.dtype.kind == "i" and codes.shape == (5, 2)  # as the reader asks


def test_codes_that_no_codebook_has(made):
    path = Path("out/shards/codes.00001.ark")
    data = bytearray(path.read_bytes())
    data[-4:] = np.float32(2.0**20).tobytes()
    path.write_bytes(data)
    index = Path("out/shards/codes.00001.json")
    assert file_digest(path) != json.loads(index.read_text())["data"]
    with pytest.raises(TokensError, match="damaged at utt3"):
        read_tokens("out", verify=False)["utt3"]


def test_every_format_has_its_name():
    assert tuple(FORMATS) == FORMAT_NAMES


@pytest.mark.parametrize("form", ["ark", "npz"])
@pytest.mark.parametrize("name", ["u" * 70_000, "a\0b", "a\u00a0b", "a\x1bb"])
def test_names_that_no_list_can_hold_are_refused(workplace, bscodec, form, name):
    write_audio("a.wav")
    Path("wav.scp").write_text(f"{name} a.wav\n")
    result = bscodec(f"tokenize wav.scp -o out --nj 1 --format {form}")
    assert_one_error(result, "line 1: the name has more than 4096 bytes, or a control character")
    assert tree("out") == []


def test_paths_that_no_list_can_hold_are_refused(workplace, bscodec):
    write_audio("in/a\nb touch done |\nc.wav")
    result = bscodec("tokenize in -o out --nj 1 --allow-commands")
    assert_one_error(result, r"in/a\nb touch done |\nc.wav: a path that no list can hold")
    assert tree("out") == []
