"""The loop over the files to make: in this process, in several, or on a cluster.

Whatever makes them, the files are the same, and what is printed comes in the order of the jobs.
"""

from __future__ import annotations

import argparse
import errno
import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from espnet2.gan_codec.bscodec.cli.jobs import (
    Job,
    JobList,
    one_line,
    print_error,
    print_line,
    print_note,
)
from espnet2.gan_codec.bscodec.cli.places import open_place
from espnet2.gan_codec.bscodec.cli.standard_streams import StandardStreams
from espnet2.gan_codec.bscodec.cli.usage import UsageError
from espnet2.gan_codec.bscodec.format.files import require_regular

if TYPE_CHECKING:  # with torch
    from espnet2.gan_codec.bscodec.inference.executors import Place

LONG_SECONDS = 60  # a single file of more than that gets a progress bar
HERE_SECONDS = 10  # of CPU time, before processes are started, which takes some seconds too
Progress = Callable[[float], object]
Seconds = Callable[[Job], float]  # may raise ValueError or OSError


@dataclass
class Report:
    """What came of a job; it travels between processes.

    Attributes:
        line: to print, of a file that was made.
        notes: what the user should know, a line each.
        changes: what was done to the audio before coding, by kind: said once in a run.
        damaged: something of the input was missing.
        error: why there is no file, in a line.
        errno: the error's number, of an OSError.
    """

    line: str = ""
    notes: list[str] = field(default_factory=list)
    changes: dict[str, str] = field(default_factory=dict)
    damaged: bool = False
    error: str = ""
    errno: int | None = None


class FileWork(Protocol):
    """How one file is made of another; it can be pickled."""

    def make(self, job: Job, report: Report, progress: Progress) -> str:
        """Do a job, add to its report, and return a line to print.

        Args:
            progress: called with seconds of audio as they are done.

        Raises:
            ValueError, OSError: it cannot be done; nothing of the file is left.
        """
        ...

    def problem_with(self, job: Job) -> str | None:
        """Return what is wrong with an existing target; None: nothing."""


def place_of_files(args: argparse.Namespace, job_list: JobList) -> Place | None:
    """Return where files are made, as the options say; None: in this process, as a single one is.

    Raises:
        UsageError: a cluster for a single file.
        PlaceError: no such device, too few of them, or no such cluster.
    """
    if not job_list.many:
        if args.cluster:
            raise UsageError("--cluster: is for folders and several files")
        return None
    place = open_place(args)
    if args.cluster:
        return place
    place = place.at_most(len(job_list.jobs))
    return place if len(place.devices) > 1 else None


def run_job_list(
    job_list: JobList,
    work: FileWork,
    tell: Callable[[Job, Report], object],
    seconds: Seconds,
    force: bool,
    streams: StandardStreams,
    place: Place | None,
    at_once: bool,
) -> int:
    """Do all jobs; return the exit status: 0, or 1 if any of them failed.

    Args:
        tell: prints what a report holds besides its line and its error.
        seconds: length of a job's audio.
        force: make every target again, though never over an input.
        streams: what ``-`` stands for.
        place: as of ``place_of_files``.
        at_once: use it from the first job on; else for what is left after some seconds' work.
    """
    made = skipped = failed = 0
    streams.read()
    with _progress_bar(job_list, seconds) as bar:
        reports = _Reports(job_list, work, force, bar, place, at_once)
        with closing(reports.in_order()) as done:
            for job, report in done:
                if report is None:
                    skipped += 1
                    continue
                tell(job, report)
                if report.error:
                    print_error(streams.named(report.error))
                    failed += 1
                    if report.errno == errno.ENOSPC:
                        break  # the other jobs would fail alike
                    continue
                try:
                    streams.write()
                except BrokenPipeError:
                    raise  # nobody reads what is printed: no matter of this job
                except OSError as error:
                    print_error(streams.named(one_line(error)))
                    failed += 1
                    continue
                if not streams.holds_stdout:
                    print_line(streams.named(report.line))
                made += 1
    if job_list.many:
        left = len(job_list.jobs) - made - skipped - failed
        outcomes = {
            "already there and skipped (--force makes them again)": skipped,
            "failed": failed,
            "not tried": left,
        }
        parts = [f"{made} made"] + [f"{n} {what}" for what, n in outcomes.items() if n]
        print_line(f"{len(job_list.jobs)} files: {', '.join(parts)}")
    return 1 if failed else 0


class _Reports:
    """Every job with its report, in order; None: there was nothing to do."""

    def __init__(
        self,
        job_list: JobList,
        work: FileWork,
        force: bool,
        bar,
        place: Place | None,
        at_once: bool,
    ) -> None:
        self.jobs, self.many = job_list.jobs, job_list.many
        self.into_folder = job_list.into_folder
        self.work, self.force, self.bar = work, force, bar
        self.place, self.at_once = place, at_once
        self.sources = {_identity(job.source) for job in self.jobs} - {None}

    def in_order(self) -> Generator[tuple[Job, Report | None]]:
        jobs = iter(self.jobs)
        if self.place is None or not self.at_once:
            yield from self._from_here(jobs)
        if self.place is not None:
            yield from self._from_elsewhere(self.place, list(jobs))

    def _from_here(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Report | None]]:
        """Do jobs, for some seconds only where there is another place."""
        from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads

        progress = _nothing if self.many else self.bar.update
        seconds = 0.0
        for job in jobs:
            begun = time.process_time()
            is_due, report = self._check(job)
            if is_due and self.many:
                with at_most_threads(1):  # as the processes do, so that rounding is the same
                    report = do_job(self.work, job, progress)
            elif is_due:
                report = do_job(self.work, job, progress)
            seconds += time.process_time() - begun
            yield job, report
            if self.many:
                self.bar.update()
            if self.place is not None and seconds > HERE_SECONDS:
                return

    def _from_elsewhere(
        self, place: Place, jobs: list[Job]
    ) -> Iterator[tuple[Job, Report | None]]:
        from espnet2.gan_codec.bscodec.inference.executors import run_all

        reports: dict[Job, Report | None] = {}
        waiting = iter(jobs)
        head = next(waiting, None)

        def due() -> Iterator[Job]:
            for job in jobs:
                is_due, report = self._check(job)
                if is_due:
                    yield job
                else:
                    reports[job] = report
                    self.bar.update()

        def ready() -> Iterator[tuple[Job, Report | None]]:
            nonlocal head
            while head is not None and head in reports:
                yield head, reports.pop(head)
                head = next(waiting, None)

        with closing(run_all(place, partial(do_job, self.work), due())) as done:
            for job, future in done:
                try:
                    reports[job] = future.result()
                except BrokenExecutor as error:
                    reports[job] = Report(error=f"{job.target}: {error}")
                self.bar.update()
                yield from ready()
        yield from ready()

    def _check(self, job: Job) -> tuple[bool, Report | None]:
        """Return whether a job is to be done, and if not, what has come of it."""
        try:
            if _identity(job.target) in self.sources:
                raise FileExistsError(
                    errno.EEXIST, "is an input, which is never overwritten", str(job.target)
                )
            if os.path.exists(job.target):
                require_regular(job.target)  # a pipe may have a reader: it is not replaced
            if not self.force and os.path.lexists(job.target):
                _refuse(job, self.work.problem_with(job) if self.many else "")
                return False, None
            if self.into_folder:
                job.target.parent.mkdir(parents=True, exist_ok=True)
        except (ValueError, OSError) as error:
            return False, _failure(Report(), error, job.target)
        return True, None


def do_job(work: FileWork, job: Job, progress: Progress | None = None) -> Report:
    """Do a job, here or in another process; an error becomes part of the report."""
    report = Report()
    try:
        changed = os.stat(job.source).st_mtime_ns
        report.line = work.make(job, report, progress or _nothing)
        _date(job.target, changed)
    except (ValueError, OSError) as error:
        return _failure(report, error, job.target)
    return report


def _date(target: Path, earliest: int) -> None:
    """Have a file no older than its input, which may be of a clock that was ahead of this one."""
    with suppress(OSError):
        if target.stat().st_mtime_ns < earliest:
            os.utime(target, ns=(earliest, earliest))


def _failure(report: Report, error: Exception, target: Path) -> Report:
    """Put an error into a report; ``target`` was being written."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(target)
    report.error, report.errno = one_line(error), getattr(error, "errno", None)
    return report


def print_notes(report: Report, streams: StandardStreams) -> None:
    """Print the notes of a report."""
    for line in report.notes:
        print_note(streams.named(line))


def _nothing(_: float) -> None:
    """Progress within a file, where the bar counts files."""


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, whatever its name; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _refuse(job: Job, problem: str | None) -> None:
    if problem is not None:
        reason = f", but {problem}" if problem else ""
        raise FileExistsError(
            errno.EEXIST, f"is there already{reason} (--force overwrites)", str(job.target)
        )


def _progress_bar(job_list: JobList, seconds: Seconds):
    from tqdm import tqdm

    if job_list.many:
        return tqdm(total=len(job_list.jobs), unit="file", disable=None, leave=False)
    try:
        total = seconds(job_list.jobs[0])
    except (ValueError, OSError):
        total = 0  # the job itself reports what is wrong
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"
    hidden = None if total > LONG_SECONDS else True
    return tqdm(total=total, bar_format=form, disable=hidden, leave=False)
