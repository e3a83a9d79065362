"""Commands of a list, whose output is audio; none outlives the run."""

import os
import signal
import subprocess
import threading
from typing import IO

_running: set[subprocess.Popen] = set()
_lock = threading.Lock()
_stopped = False


def run_command(command: str, output: IO[bytes]) -> None:
    """Run a shell command with its output into a file.

    Raises:
        ValueError: it fails, or the run has been stopped.
    """
    with _lock:
        if _stopped:
            raise ValueError("not run: stopped")
        # the user's own: what calls this has been told to allow commands
        process = subprocess.Popen(
            command,
            shell=True,  # nosec B602
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            start_new_session=True,  # with all that it starts
        )
        _running.add(process)
    try:
        _, errors = process.communicate()
    finally:
        with _lock:
            _running.discard(process)
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"its command fails: {' '.join(last) or 'no reason given'}")


def stop_commands() -> None:
    """End the commands that run, and start none any more."""
    global _stopped
    with _lock:
        _stopped = True
        for process in _running:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
