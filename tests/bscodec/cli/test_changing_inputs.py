"""Inputs that change while they are read, clocks that are wrong, little that is allowed."""

import ctypes
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from espnet2.gan_codec.bscodec.format import decoders
from espnet2.gan_codec.bscodec.format.audio import BLOCK_FRAMES
from espnet2.gan_codec.bscodec.format.bitstream import BscReader
from espnet2.gan_codec.bscodec.format.files import FileBytes

from ..experiments import assert_one_error, make_noise, tree, write_audio

RUN = """
import sys
from espnet2.bin.bscodec import main
for line in sys.argv[1:]:
    print(">>>", line, file=sys.stderr)
    print(main(line.split()))
"""
LENGTH = 3 * BLOCK_FRAMES + 1000
DAY = 86400


def write(path, num_samples=LENGTH, seed=0):
    soundfile.write(path, make_noise(num_samples, seed=seed), 24000)


def grow(path):
    with open(path, "ab") as file:
        file.write(bytes(1000))


def shrink(path):
    os.truncate(path, os.path.getsize(path) // 2)


def replace(path):
    write("other" + path.suffix, LENGTH // 2, seed=1)
    os.replace("other" + path.suffix, path)


def rewrite(path):
    data = path.read_bytes()
    time.sleep(0.02)  # a file system's clock may tick a hundred times a second
    path.write_bytes(data)


@pytest.fixture
def change_within(monkeypatch):
    """Have a change come before the ``count``-th block is read."""

    def prepare(path, change, count):
        read, calls = decoders.SoundFileDecoder.read, 0

        def counted(self, num_frames):
            nonlocal calls
            calls += 1
            if calls == count:
                change(path)
            return read(self, num_frames)

        monkeypatch.setattr(decoders.SoundFileDecoder, "read", counted)

    return prepare


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("change", [grow, shrink, replace, rewrite, os.remove])
@pytest.mark.parametrize("command", ["encode", "encode --salvage", "tokenize --nj 1"])
def test_an_input_that_changes_is_refused(bscodec, change_within, suffix, change, command):
    path = Path(f"a.{suffix}")
    write(path)
    Path("wav.scp").write_text(f"a {path}\n")
    change_within(path, change, count=3)
    if command.startswith("encode"):
        assert_one_error(bscodec(f"{command} {path} -o a.bsc"), f"{path}: ")
        assert not Path("a.bsc").exists()
    else:
        assert bscodec(f"{command} wav.scp -o out").status == 1
        row = Path("out/skipped.tsv").read_text().splitlines()[-1]
        assert row.startswith(f"a\t{path}\t")
    assert not [name for name in tree() if ".bscodec-" in name]
    write(path)  # at rest again
    again = bscodec(f"encode {path} -o a.bsc")
    assert again.status == 0 and again.err == ""


def test_codes_that_are_replaced_are_those_of_the_file_that_was_opened(bscodec, monkeypatch):
    write("a.wav", 24000 * 25)
    write("b.wav", 24000 * 25, seed=1)
    bscodec("encode a.wav b.wav -o .")
    bscodec("decode a.bsc -o whole.wav")
    read = BscReader.read_block

    def replaced(self, index):
        if index == 1:
            os.replace("b.bsc", "a.bsc")
        return read(self, index)

    monkeypatch.setattr(BscReader, "read_block", replaced)
    assert bscodec("decode a.bsc -o a2.wav").status == 0
    assert Path("a2.wav").read_bytes() == Path("whole.wav").read_bytes()


@pytest.mark.parametrize("change", [shrink, os.remove])
def test_codes_that_shrink_or_vanish(bscodec, monkeypatch, change):
    write("a.wav", 24000 * 25)
    bscodec("encode a.wav -o a.bsc")
    bscodec("decode a.bsc -o whole.wav")
    read = BscReader.read_block

    def changed(self, index):
        if index == 2:
            change("a.bsc")
        return read(self, index)

    monkeypatch.setattr(BscReader, "read_block", changed)
    done = bscodec("decode a.bsc -o b.wav")
    if done.status:
        assert_one_error(done, "a.bsc: ")
        assert not Path("b.wav").exists()
    else:
        assert Path("b.wav").read_bytes() == Path("whole.wav").read_bytes()


def test_a_list_that_grows_is_refused_and_the_next_run_does_all(bscodec, monkeypatch):
    for name in "ab":
        write_audio(f"{name}.wav")
    Path("wav.scp").write_text("a a.wav\n")
    from espnet2.gan_codec.bscodec.tokens import workers

    read = workers.read_lines

    def changed(path, shard):
        Path("wav.scp").write_text("b b.wav\n")
        return read(path, shard)

    monkeypatch.setattr(workers, "read_lines", changed)
    line = "tokenize wav.scp -o out --nj 1"
    assert_one_error(bscodec(line), "wav.scp: has changed during the run")
    monkeypatch.setattr(workers, "read_lines", read)
    assert bscodec(line).status == 0 and "b " in Path("out/codec.scp").read_text()


def test_bytes_of_a_file_are_those_of_a_mapping(tmp_path):
    data = make_noise(60000).tobytes() + b"OggS" + bytes(70000) + b"OggS"
    (tmp_path / "a").write_bytes(data)
    with open(tmp_path / "a", "rb") as file:
        there = FileBytes(file)
        assert len(there) == len(data)
        for start in (0, 5, 65530, 65536, 239990, len(data) - 3, len(data), len(data) + 9):
            assert there[start : start + 20] == data[start : start + 20]
            for wanted in (b"OggS", b"\xff", b"none", data[start : start + 3] or b"x"):
                assert there.find(wanted, start) == data.find(wanted, start)
        os.truncate(tmp_path / "a", 100)
        assert there.find(b"none", 50) == -1 and there[200000:200020] == b""


# ---- clocks ------------------------------------------------------------------------------


def date(path, seconds):
    when = time.time() + seconds
    os.utime(path, (when, when))


@pytest.mark.parametrize("days", [-3650, 3650])
def test_a_second_run_skips_what_is_finished_whatever_the_clock_was(bscodec, days):
    """Inputs of a clock that was ahead or behind; outputs are never older than these."""
    for name in "ab":
        write_audio(f"in/{name}.wav")
        date(f"in/{name}.wav", days * DAY)
    assert bscodec("encode in -o bsc").status == bscodec("decode bsc -o wav").status == 0
    for line in ("encode in -o bsc", "decode bsc -o wav"):
        again = bscodec(line)
        assert again.status == 0 and "2 files: 0 made, 2 already there" in again.out
    date("in/a.wav", (max(days, 0) + 1) * DAY)
    assert_one_error(bscodec("encode in -o bsc"), "bsc/a.bsc: is there already, but older than")


@pytest.mark.parametrize("days", [-3650, 3650])
def test_tokens_go_by_what_is_in_files(bscodec, days):
    write_audio("in/a.wav")
    Path("wav.scp").write_text("a in/a.wav\n")
    bscodec("tokenize wav.scp -o out --nj 1")
    date("out/shards/codes.00001.ark", days * DAY)
    date("wav.scp", -days * DAY)
    again = bscodec("tokenize wav.scp -o out --nj 1")
    assert again.status == 0 and "1 utterance is there already" in again.out


@pytest.mark.parametrize("days", [-3650, 3650])
def test_what_a_killed_run_left_is_removed_whatever_its_date(bscodec, days):
    write_audio("in/a.wav")
    Path("out").mkdir()
    left = Path("out/.bscodec-0123456789abcdef.tmp")
    left.touch()
    date(left, days * DAY)
    assert bscodec("encode in -o out").status == 0 and tree("out") == ["a.bsc"]


# ---- folders that are read-only, few open files ------------------------------------------


def run_with(preparation, lines):
    """Run command lines one after the other in a process that was prepared so.

    Returns:
        Each with its exit status and what it said on stderr.
    """
    command = [sys.executable, "-W", "ignore", "-c", RUN, *lines]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=preparation)
    said = [part.partition("\n")[2] for part in done.stderr.split(">>> ")[1:]]
    statuses = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    return list(zip(lines, statuses, said, strict=True))


def no_override():
    """Have root heed the permissions of files like anybody else (PR_CAPBSET_DROP)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root is told to heed permissions there")
def test_a_folder_that_is_read_only_is_named(workplace, bscodec):
    for name in "ab":
        write_audio(f"in/{name}.wav")
    Path("wav.scp").write_text("a in/a.wav\n")
    closed = workplace / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    expected = {
        "encode in/a.wav -o closed/a.bsc": ["closed/a.bsc"],
        "encode in -o closed": ["closed/a.bsc", "closed/b.bsc"],
        "encode in -o closed/new": ["closed/new", "closed/new"],
        "encode in -o bsc": [],
        "decode bsc -o closed": ["closed/a.wav", "closed/b.wav"],
        "tokenize wav.scp -o closed --nj 1": ["closed/shards"],
        "tokenize in -o closed --nj 1": ["closed/wav.scp"],
        "export bscodec-mini -o closed": ["closed"],
        "score --ref in --hyp us=in --domain speech --metrics SI-SDR --outdir closed": [
            "closed/.journal.jsonl"
        ],
    }
    for line, status, said in run_with(no_override, expected):
        names = expected[line]
        errors = [f"bscodec: error: {name}: Permission denied" for name in names]
        assert (status, said.splitlines()) == (bool(names), errors), line
    assert tree("closed") == []


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_few_open_files_are_enough(workplace, processes):
    for index in range(40):
        write_audio(f"in/{index}.wav")
    lines = [
        "encode in -o bsc",
        "decode bsc -o wav",
        "info bsc/0.bsc",
        f"tokenize in -o tokens --nj {processes} --shard-size 20",
        "score --ref in --hyp us=wav --domain speech --metrics SI-SDR --outdir scores "
        f"--nj {processes} --no-report",
    ]
    for line, status, said in run_with(few_files, lines):
        assert (status, said) == (0, ""), line
    assert len(tree("wav")) == 40
