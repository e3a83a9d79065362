"""Scores on disk as they come, so that a run that was cut off goes on where it was."""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.result import Result, Task


class Journal:
    """A file of one line of JSON per scored pair; a context manager.

    A value is used again only while both files are what they were (path, size, time of change)
    and the metric's setting is the same. What failed is not written, and so tried again.

    Args:
        path: of the file; made where it is missing.
        setting: says what a metric's values depend on, by its name.

    Raises:
        ScoringError: another run is writing to it.
    """

    def __init__(self, path: Path, setting: Callable[[str], str]) -> None:
        self._setting = setting
        self._file = open(path, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise ScoringError(f"{path.parent}: another run is writing here") from error
        self._records: dict[tuple[str, str], list[dict]] = {}
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        for line in lines:
            self._remember(line)
        if lines[-1]:  # the last run ended within a line
            self._file.write(b"\n")

    def known(self, task: Task) -> Result | None:
        """Return the values that are there for a pair, if any."""
        stamp = _stamp(task)
        found = None
        for record in self._records.get((task.system, task.name), ()):
            if record["files"] != stamp:
                continue
            values = {
                name: value
                for name, (value, setting) in record["values"].items()
                if name in task.metrics and setting == self._setting(name)
            }
            values = {**(found.values if found else {}), **values}
            reference, decoded = map(tuple, record["energies"])
            found = Result(
                task, record["seconds"], tuple(record["rates"]), (reference, decoded), values
            )
        return found

    def add(self, result: Result) -> None:
        """Write the values of a pair."""
        if not result.values:
            return
        task = result.task
        record = {
            "system": task.system,
            "name": task.name,
            "files": _stamp(task),
            "seconds": result.seconds,
            "rates": result.rates,
            "energies": result.energies,
            "values": {name: [v, self._setting(name)] for name, v in result.values.items()},
        }
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _remember(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            key = record["system"], record["name"]
            assert {"files", "seconds", "rates", "energies", "values"} <= record.keys()
        except (ValueError, TypeError, KeyError, AssertionError):
            return  # cut off, or not ours: as if it were not there
        self._records.setdefault(key, []).append(record)


def _stamp(task: Task) -> list | None:
    """What identifies both files as they are now."""
    try:
        stats = [(os.path.abspath(p), os.stat(p)) for p in (task.reference, task.decoded)]
    except OSError:
        return None
    return [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
