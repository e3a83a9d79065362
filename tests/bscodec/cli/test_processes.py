"""``encode`` and ``decode`` by several processes: the same files, lines, notes and status."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.cli import file_work
from espnet2.gan_codec.bscodec.inference import executors

from ..experiments import tree, write_audio, write_experiment
from .corpus import contents


@pytest.fixture
def corpus(workplace):
    """A model that other processes find, and files good and bad."""
    write_experiment(workplace / "model")
    for i in range(4):
        write_audio(f"in/a{i}.wav", 4000 + 999 * i, rate=(24000, 16000)[i % 2], channels=2)
    Path("in/b.wav").touch()
    write_audio("in/sub/a0.wav")
    return workplace


def run_both(bscodec, line):
    """Run a command by one process and by two; return what came of it, which is the same."""
    seen = []
    for processes in (1, 2):
        result = bscodec(f"{line} -o out --model model -j {processes}")
        seen.append((result.status, result.out, result.err, contents("out")))
        if processes == 1:
            shutil.rmtree("out")
    assert seen[0] == seen[1]
    return result


def test_encoding_is_that_of_one_process(bscodec, corpus):
    encoded = run_both(bscodec, "encode in missing.wav")
    assert encoded.status == 1 and len(encoded.notes) == 3  # the model, a rate, an average
    assert [line.split(": ")[2] for line in encoded.errors] == ["in/b.wav", "missing.wav"]
    assert encoded.out.splitlines()[-1] == "7 files: 5 made, 2 failed"


@pytest.mark.long
def test_a_second_run_goes_on_and_decoding_is_that_of_one_process(bscodec, corpus):
    bscodec("encode in -o out --model model -j 1")
    before = contents("out")
    os.remove("out/a2.bsc")
    again = bscodec("encode in -o out --model model -j 2")
    assert again.out.splitlines()[-1].startswith("6 files: 1 made, 4 already there and skipped")
    assert contents("out") == before
    os.rename("out", "in-bsc")
    Path("in-bsc/a3.bsc").write_bytes(Path("in-bsc/a3.bsc").read_bytes()[:-3])
    decoded = run_both(bscodec, "decode in-bsc --salvage")
    assert decoded.status == 1 and "in-bsc/a3.bsc: nothing to salvage" in decoded.err


@pytest.mark.parametrize(("seconds", "elsewhere"), [(1000, []), (0, ["b", "c"])])
def test_what_is_left_after_some_seconds_goes_to_processes(
    bscodec, monkeypatch, seconds, elsewhere
):
    seen = []

    def run_here(place, function, jobs):
        for job in jobs:
            seen.append(job.source.stem)
            future = Future()
            future.set_result(function(job))
            yield job, future

    monkeypatch.setattr(executors, "run_all", run_here)
    monkeypatch.setattr(executors, "available_cpus", lambda: 2)
    monkeypatch.setattr(file_work, "HERE_SECONDS", seconds)
    for name in "abc":
        write_audio(f"in/{name}.wav")
    assert bscodec("encode in -o out --device cpu").out.splitlines()[-1] == "3 files: 3 made"
    assert seen == elsewhere
    assert tree("out") == ["a.bsc", "b.bsc", "c.bsc"]


def test_one_file_is_for_no_cluster(bscodec):
    write_audio("a.wav")
    result = bscodec("encode a.wav -o a.bsc --cluster tcp://localhost:1")
    assert result.status == 2 and result.errors == [
        "bscodec: error: --cluster: is for folders and several files"
    ]


@pytest.mark.long
def test_a_terminated_run_leaves_no_process_and_nothing_half_written(corpus):
    os.remove("in/b.wav")
    write_audio("in/long.wav", 24000 * 600)
    line = "encode in -o out --model model -j 2".split()
    command = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.bscodec", *line]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM and b"Traceback" not in errors
    deadline = time.monotonic() + 30
    while any(".bscodec-" in name for name in tree("out")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
