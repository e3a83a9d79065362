"""The calling convention of Kaldi's job scripts, and the running of one job with its log.

    SCRIPT [--option value ...] [JOB=1:N] LOG COMMAND [ARGUMENT ...]

``JOB`` (any name of capitals) is replaced by the job's number in LOG, COMMAND and ARGUMENTs. The
command is run as it is given, without a shell between. A log opens with the command and ends with
its exit status, by which a finished job is known.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

TAIL = 20  # lines of a failed job's log that are shown
_RANGE = re.compile(r"(?P<name>[A-Z]+)=(?P<first>\d+)(:(?P<last>\d+))?")
_ENDED = re.compile(r"# ended .*, status (-?\d+)\n?")


class JobError(Exception):
    """A wrong call or failed jobs, reported in one line."""


@dataclass(frozen=True)
class Jobs:
    """Jobs ``first`` to ``last`` of one command, as asked for on the command line."""

    log: str
    command: tuple[str, ...]
    name: str = ""  # what stands for a job's number; "" for a single job
    first: int = 1
    last: int = 1
    options: dict[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> range:
        """The numbers of the jobs."""
        return range(self.first, self.last + 1)

    def log_of(self, number: int) -> Path:
        """The log of one job."""
        return Path(self._fill(self.log, number))

    def command_of(self, number: int) -> list[str]:
        """The command of one job."""
        return [self._fill(word, number) for word in self.command]

    def _fill(self, text: str, number: int) -> str:
        return text.replace(self.name, str(number)) if self.name else text


def parse(argv: list[str]) -> Jobs:
    """Read a command line of the convention above; options may stand on both sides of JOB=1:N.

    Raises:
        JobError: something is missing, or two jobs would share one log.
    """
    words, options, found = deque(argv), {}, None
    while words:
        match = _RANGE.fullmatch(words[0])
        if words[0].startswith("--"):
            option = words.popleft()
            if not words:
                raise JobError(f"{option}: a value is expected after it")
            options[option[2:].replace("-", "_")] = words.popleft()
        elif match and found is None:
            found = match
            words.popleft()
        else:
            break
    if len(words) < 2:
        raise JobError("expected [--option value ...] [JOB=1:N] LOG COMMAND [ARGUMENT ...]")
    log, *command = words
    if found is None:
        return Jobs(log, tuple(command), options=options)
    first = int(found["first"])
    last = int(found["last"] or first)
    if last < first:
        raise JobError(f"{found[0]}: the last job comes before the first")
    if first < last and found["name"] not in log:
        raise JobError(f"{log}: jobs of {found[0]} need {found['name']} in the name of the log")
    return Jobs(log, tuple(command), found["name"], first, last, options)


def positive(options: dict[str, str], name: str, default: int) -> int:
    """A whole number of at least 1 from the options."""
    value = options.get(name, str(default))
    if not value.isdigit() or int(value) < 1:
        raise JobError(f"--{name} {value}: expected a whole number of at least 1")
    return int(value)


class RunningJob:
    """A started job: its process, in a session of its own, and its open log."""

    def __init__(self, jobs: Jobs, number: int):
        path = jobs.log_of(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        command = jobs.command_of(number)
        self.begun = time.time()
        self.log = path.open("w", encoding="utf-8")
        self._note(f"# {shlex.join(command)}")
        self._note(f"# started {_clock()} on {socket.gethostname()}")
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._note(f"{command[0]}: {error.strerror}")
            self.process = None

    def status(self) -> int | None:
        """The exit status, once there is one; that also closes the log."""
        status = 127 if self.process is None else self.process.poll()
        if status is not None and not self.log.closed:
            seconds = time.time() - self.begun
            self._note(f"# ended {_clock()} after {seconds:.1f} s, status {status}")
            self.log.close()
        return status

    def _note(self, line: str) -> None:
        print(line, file=self.log, flush=True)


def _clock() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def logged_status(log: Path) -> int | None:
    """The exit status that a log ends with; ``None`` for a job that has not ended."""
    try:
        lines = tail(log, 1)
    except FileNotFoundError:
        return None
    match = _ENDED.fullmatch(lines[-1]) if lines else None
    return int(match[1]) if match else None


def tail(path: Path, count: int) -> list[str]:
    """The last lines of a text file."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return list(deque(file, count))


def report(jobs: Jobs, failed: dict[int, str]) -> None:
    """Name the logs of failed jobs, show the end of the first, and raise if there are any.

    ``failed``: what became of each failed job, by its number.
    """
    if not failed:
        return
    first = min(failed)
    log = jobs.log_of(first)
    if log.is_file():
        print(f"---- the end of {log}", file=sys.stderr)
        print("".join(tail(log, TAIL)).rstrip("\n"), file=sys.stderr)
        print("----", file=sys.stderr)
    many = f"{len(failed)} of {len(jobs.numbers)} jobs failed, " if len(jobs.numbers) > 1 else ""
    others = [str(jobs.log_of(number)) for number in sorted(failed)[1:4]]
    more = ["..."] if len(failed) > 4 else []
    also = f" (also: {' '.join(others + more)})" if others else ""
    job = f"job {first}" if jobs.name else "the job"
    raise JobError(f"{many}{job} {failed[first]}; its log: {log}{also}")


def main(run, argv: list[str]) -> int:
    """Parse, run, and print an error in one line; returns the exit status."""
    try:
        run(parse(argv))
    except JobError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        return 1
    return 0
