"""Scores on disk as they come, so that a run that was cut off goes on where it was."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.format.checked import (
    integer,
    items,
    mapping,
    number,
    parse_json,
    text,
)
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.records import checked_measures
from espnet2.gan_codec.scoring.result import Result, Task

_LONGEST_LINE = 1 << 20
_MAX_TIME = 1 << 63  # in nanoseconds


@dataclass(frozen=True)
class _Record:
    """A line: the values of a pair with the setting of each, and what else was measured."""

    system: str
    name: str
    files: list | None
    values: dict[str, tuple[float, str]]
    measures: dict


class Journal:
    """A file of one line of JSON per scored pair; a context manager.

    A value is used again only while both files are what they were (path, size, time of change)
    and the metric's setting is the same. What failed is not written, and so tried again.

    Args:
        path: of the file; made where it is missing.
        setting: says what a metric's values depend on, by its name.

    Attributes:
        damaged: lines that were no records; they are blank from now on.

    Raises:
        ScoringError: another run is writing to it.
    """

    def __init__(self, path: Path, setting: Callable[[str], str]) -> None:
        self._setting = setting
        if path.exists():
            require_regular(path)
        self._file = open(path, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise ScoringError(f"{path.parent}: another run is writing here") from error
        self._records: dict[tuple[str, str], list[_Record]] = {}
        self._file.seek(0)
        damaged: list[range] = []  # bytes of lines
        position, part, is_start, is_damaged = 0, b"\n", True, False
        while more := self._file.readline(_LONGEST_LINE):
            part = more
            if is_start:
                is_damaged = bool(part.strip()) and not self._remember(part)
                if is_damaged:
                    damaged.append(range(position, position))
            position += len(part)
            is_start = part.endswith(b"\n")
            if is_damaged:
                damaged[-1] = range(damaged[-1].start, position - is_start)
        if not is_start:  # the last run ended within a line
            self._file.write(b"\n")
        self.damaged = len(damaged)
        _blank(path, damaged)

    def known(self, task: Task) -> Result | None:
        """Return the values that are there for a pair, if any."""
        stamp = _stamp(task)
        found = None
        for record in self._records.get((task.system, task.name), ()):
            if record.files != stamp:
                continue
            values = {
                name: value
                for name, (value, setting) in record.values.items()
                if name in task.metrics and setting == self._setting(name)
            }
            values = {**(found.values if found else {}), **values}
            found = Result(task, **record.measures, values=values)
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

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _remember(self, line: bytes) -> bool:
        try:
            record = _checked(parse_json(line))
        except (ValueError, KeyError):  # cut off, or not ours: as if it were not there
            return False
        self._records.setdefault((record.system, record.name), []).append(record)
        return True


def _blank(path: Path, spans: list[range]) -> None:
    """Overwrite bytes of a file by spaces: where a kill ends that, no line has become another."""
    if spans:
        with open(path, "r+b") as file:
            for span in spans:
                file.seek(span.start)
                for start in range(span.start, span.stop, _LONGEST_LINE):
                    file.write(b" " * min(_LONGEST_LINE, span.stop - start))


def _checked(record: dict) -> _Record:
    """Raise KeyError or Damaged for what ``Journal.add`` does not write."""
    files = record["files"]
    for path, size, changed in () if files is None else (items(f, 3) for f in items(files, 2)):
        text(path), integer(size), integer(changed, -_MAX_TIME, _MAX_TIME)
    values = {name: items(v, 2) for name, v in mapping(record["values"]).items()}
    return _Record(
        text(record["system"]),
        text(record["name"]),
        files,
        {name: (number(v, finite=False), text(setting)) for name, (v, setting) in values.items()},
        checked_measures(record),
    )


def _stamp(task: Task) -> list | None:
    """What identifies both files as they are now."""
    try:
        stats = [(os.path.abspath(p), os.stat(p)) for p in (task.reference, task.decoded)]
    except OSError:
        return None
    return [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
