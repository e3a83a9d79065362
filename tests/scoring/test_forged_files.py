"""Files of the scorer's own that somebody has changed: scored again, or one line."""

import json
import os
import struct

import numpy as np
import pytest

from espnet2.bin.gan_codec_score import main
from espnet2.gan_codec.scoring.codes import find_sizes, read_codes
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.records import read_runs

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(scope="module")
def words(utterances, tmp_path_factory):
    out = tmp_path_factory.mktemp("forged") / "out"
    words = ["--ref", str(utterances / "ref"), "--hyp", str(utterances / "good"), "--no-report"]
    words += ["--metrics", "SI-SDR", "--outdir", str(out)]
    assert main(words) == 0
    return words


@pytest.mark.parametrize(
    "change",
    [
        {"values": 5},
        {"values": {"SI-SDR": 3.0}},
        {"values": {"SI-SDR": ["3", "a"]}},
        {"values": {"SI-SDR": [3.0, None]}},
        {"files": 7},
        {"files": [["a", "b", "c"], [1, 2, 3]]},
        {"seconds": None},
        {"seconds": float("inf")},
        {"rates": [1]},
        {"rates": [2**70, "a"]},
        {"energies": [[1.0], [2.0]]},
        {"energies": [["a"] * 5, ["a"] * 5]},
        {"energies": {"a": 1}},
        {"system": ["decoded"]},
        {"name": {}},
        DEEP,
        "[]",
        "{}",
        "null",
        "x" * (3 << 20),
    ],
)
def test_a_damaged_record_is_scored_again_and_said(words, capsys, change):
    out = words[-1]
    journal, table = f"{out}/.journal.jsonl", f"{out}/utterances.tsv"
    lines, scores = open(journal).readlines(), open(table).read()
    forged = change if isinstance(change, str) else json.dumps({**json.loads(lines[1]), **change})
    with open(journal, "w") as file:
        file.writelines([lines[0], f"{forged}\n", *lines[2:]])
    capsys.readouterr()
    assert main(words) == 0
    err = capsys.readouterr().err
    assert [line for line in err.splitlines() if line.startswith("bscodec: ")] == [
        f"bscodec: note: {journal}: 1 damaged lines are left out, and what they held is "
        "computed again"
    ]
    assert open(table).read() == scores
    again = open(journal).readlines()
    assert len(again) == len(lines) + 1 and set(lines) <= set(again)
    assert main(words) == 0 and "damaged" not in capsys.readouterr().err  # it is said once
    assert open(journal).readlines() == again
    with open(journal, "w") as file:
        file.writelines(lines)


def test_a_journal_that_is_a_pipe_is_one_line(words, tmp_path, capsys):
    os.mkfifo(tmp_path / ".journal.jsonl")
    assert main([*words[:-1], str(tmp_path)]) == 1
    assert "journal.jsonl: is a pipe or device" in capsys.readouterr().err


def forge(contents, *keys, value):
    *path, last = keys
    for key in path:
        contents = contents[key]
    contents[last] = value


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["outcomes"], {}),
        (["outcomes", 0], None),
        (["outcomes", 0, "values"], {"no such metric": 1.0}),
        (["outcomes", 0, "values"], {"SI-SDR": "1"}),
        (["outcomes", 0, "task", "domain"], ["speech"]),
        (["outcomes", 0, "task", "domain"], "noise"),
        (["outcomes", 0, "task", "reference"], 5),
        (["outcomes", 0, "rates"], "ab"),
        (["outcomes", 0, "energies"], [[1.0], [1.0, 2.0]]),
        (["outcomes", 0, "failure"], 3),
        (["costs"], {"good": 5}),
        (["costs"], {"good": {"bits": {"a": "b"}, "encode_seconds": {}, "decode_seconds": {}}}),
        (["settings"], {"SI-SDR": ["a"]}),
        (["settings"], []),
    ],
)
def test_forged_results_are_one_line(words, tmp_path, keys, value):
    contents = json.loads(open(f"{words[-1]}/utterances.json").read())
    forge(contents, *keys, value=value)
    (tmp_path / "utterances.json").write_text(json.dumps(contents))
    with pytest.raises(ScoringError, match="utterances.json: not a file of results: ") as error:
        read_runs([(None, tmp_path)])
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("text", [DEEP, "", "[]", "null"])
def test_files_that_are_no_results_are_one_line(tmp_path, text):
    (tmp_path / "utterances.json").write_text(text)
    with pytest.raises(ScoringError, match="utterances.json: not a file of results: "):
        read_runs([(None, tmp_path)])


def header(shape, version=1):
    text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        header((10**12, 2)),
        header((-1, 2)),
        header((10**9, 2)),
        b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1),
        b"PK\3\4",
        b"",
    ],
)
def test_arrays_that_claim_terabytes_are_one_line(tmp_path, little_memory, data):
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    os.truncate(path, 20 << 30)
    (tmp_path / "codec.scp").write_text(f"a {path}\n")
    with pytest.raises(ScoringError, match="a.npy: not readable as an array of codes"):
        read_codes(tmp_path / "codec.scp", [16])


def test_arrays_are_read_as_numpy_does(tmp_path):
    codes = np.arange(12).reshape(3, 4)
    for array in (codes, np.asfortranarray(codes), codes.astype(">u2"), codes[None]):
        np.save(tmp_path / "a.npy", array)
        (tmp_path / "codec.scp").write_text(f"a {tmp_path}/a.npy\n")
        report = read_codes(tmp_path / "codec.scp", None)
        assert [book.used for book in report.books] == [4, 4, 4] and report.frames == 4


def test_a_codebook_of_any_size_takes_no_memory(tmp_path, little_memory):
    np.save(tmp_path / "a.npy", np.repeat(np.arange(6), [1, 2, 3, 4, 5, 5])[None])
    (tmp_path / "codec.scp").write_text(f"a {tmp_path}/a.npy\n")
    for size, bars in ((10**12, [1.0]), (70, [0.5, 0.35, 0.15]), (6, [0.25, 0.25, 0.2])):
        (book,) = read_codes(tmp_path / "codec.scp", [size]).books
        assert len(book.histogram) == min(64, size)
        assert book.histogram[: len(bars)] == pytest.approx(bars)
        assert sum(book.histogram) == pytest.approx(1)


@pytest.mark.parametrize("sizes", ["10**18", "1000000000000", "abc", "[a]", "-5", "[[1]]", "{}"])
def test_sizes_that_no_codebook_has_are_not_known(tmp_path, sizes):
    (tmp_path / "config.yaml").write_text(
        f"codec_conf: {{generator_params: {{quantizer_bins: {sizes}}}}}\n"
    )
    assert find_sizes(tmp_path / "codec.scp") == []
