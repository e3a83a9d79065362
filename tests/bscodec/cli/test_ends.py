"""How the command ends: signals, closed streams, commands that it has started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..experiments import tree, write_audio

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
