"""How the command ends: signals, closed streams, commands that it has started."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..experiments import assert_one_error, tree, write_audio

COMMAND = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.bscodec"]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_terminated_run_waits_for_no_command(workplace, kind, processes):
    """Neither does what the command has started, nor is anything left."""
    Path("wav.scp").write_text("".join(f"u{i} echo $$ > pid{i}; sleep 600 |\n" for i in range(4)))
    line = [*COMMAND, "tokenize", "wav.scp", "-o", "out", "--allow-commands", "--shard-size", "2"]
    with subprocess.Popen([*line, "--nj", str(processes)], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not Path("pid0").exists() or not Path("pid0").read_text().strip():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        process.send_signal(kind)
        process.send_signal(kind)  # a second one changes nothing
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + kind and b"Traceback" not in errors
    for path in Path().glob("pid*"):
        wait_until_gone(int(path.read_text()))
    assert not [name for name in tree("out") if ".bscodec-" in name]


def wait_until_gone(pid):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if (
            Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        ):  # nobody waits for orphans here
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} still runs")


def test_a_closed_stdout_is_no_error(workplace):
    write_audio("a.wav")
    done = subprocess.run(
        f"{' '.join(COMMAND)} encode a.wav -o a.bsc >&-", shell=True, stderr=subprocess.PIPE
    )
    assert done.returncode == 0 and done.stderr == b"" and Path("a.bsc").exists()


def shell(line):
    return subprocess.run(
        line.replace("bscodec", " ".join(COMMAND), 1), shell=True, capture_output=True, text=True
    )


def test_nothing_goes_to_stdout_in_the_place_of_a_closed_stderr(workplace):
    write_audio("a.wav")
    done = shell("bscodec encode none.wav -o a.bsc 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    whole = shell("bscodec encode a.wav -o a.bsc")
    assert whole.returncode == 0 and shell("bscodec info a.wav <&- >&- 2>&-").returncode == 1
    done = shell("bscodec encode a.wav -o b.bsc <&- >&- 2>&-")
    assert done.returncode == 0 and Path("a.bsc").read_bytes() == Path("b.bsc").read_bytes()


def test_what_should_go_to_a_closed_stdout_is_an_error(workplace):
    write_audio("a.wav")
    done = shell("bscodec encode a.wav -o - >&-")
    assert done.returncode == 2
    assert done.stderr == "bscodec: error: -o -: standard output is closed\n"


@pytest.mark.parametrize("line", ["encode a.wav -o a.bsc", "encode a.wav -o -", "doctor"])
def test_a_full_stdout_is_named(workplace, line):
    write_audio("a.wav")
    assert_full(f"bscodec {line}")


@pytest.mark.parametrize("buffered", ["", "1"])  # unbuffered
@pytest.mark.parametrize("line", ["models", "versions", "--version"])
def test_a_full_stdout_is_named_once(workplace, line, buffered):
    assert_full(f"PYTHONUNBUFFERED={buffered} bscodec {line}")


def assert_full(line):
    done = shell(f"{line} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "bscodec: error: standard output: No space left on device\n"


def test_too_little_memory_for_torch_is_one_line(workplace):
    write_audio("a.wav")
    done = shell("ulimit -v 1000000; bscodec encode a.wav -o a.bsc")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("bscodec: error: a library cannot be loaded: lib")
    assert tree() == ["a.wav"]


def test_memory_that_ends_is_one_line(bscodec, monkeypatch):
    write_audio("a.wav")
    for error in (MemoryError(), RuntimeError("can't allocate memory: 4 TB")):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr("espnet2.gan_codec.bscodec.codec.load_model", fail)
        assert_one_error(bscodec("encode a.wav -o a.bsc"), "error: not enough memory")
    assert tree() == ["a.wav"]


def test_a_limit_on_files_names_the_file(workplace):
    write_audio("a.wav", 48000)
    Path("wav.scp").write_text("a a.wav\n")
    done = shell("ulimit -f 1; bscodec tokenize wav.scp -o out --nj 1 2>&1 | cat")
    assert done.stdout.startswith("bscodec: error: out/shards/codes.00001.ark: File too large")
    assert tree("out") == []


@pytest.mark.parametrize("seconds", [120, 0.1])
def test_a_full_disk_skips_nothing(bscodec, monkeypatch, seconds):
    """A file is only skipped for what is wrong with it."""
    from espnet2.gan_codec.bscodec.tokens import coding

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")

    write_audio("a.wav")
    Path("wav.scp").write_text("a a.wav\n")
    monkeypatch.setattr(coding, "LONG_SECONDS", seconds)
    monkeypatch.setattr(coding.ChannelMix, "__call__", full)
    assert_one_error(bscodec("tokenize wav.scp -o out --nj 1"), "/tmp/x: No space left on device")
    assert tree("out") == []
