"""From the inputs and output of a command line to the files to make, and the loop over them."""

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.standard_streams import STDOUT, StandardStreams
from espnet2.gan_codec.bscodec.cli.usage import UsageError
from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.bscodec.format.files import require_regular

LONG_SECONDS = 60  # a single file of more than that gets a progress bar


@dataclass(frozen=True)
class Job:
    """One file to make of another."""

    source: Path
    target: Path


@dataclass(frozen=True)
class JobList:
    """All jobs of a command line.

    Attributes:
        jobs: in the order in which they are done.
        many: several files, or a folder: finished ones are skipped, a failed one does not stop
            the rest.
        into_folder: the targets lie in a folder that is made where it is missing.
    """

    jobs: list[Job]
    many: bool
    into_folder: bool


def list_jobs(
    inputs: list[str],
    output: str | None,
    read_suffixes: Collection[str],
    write_suffixes: list[str],
) -> JobList:
    """Decide which file becomes which.

    One file becomes ``output`` itself, unless that is a folder, and without ``output`` a file
    beside it that is called like it; several files, or folders with all
    that is below them, go into the folder ``output`` and keep their stems.

    Args:
        inputs: files and folders.
        output: a file, a folder, or the name of a folder to make; None: beside the input.
        read_suffixes: of the files to take out of folders.
        write_suffixes: allowed for ``output``; the first is used in folders.

    Raises:
        UsageError: two inputs would become one file, a folder holds no input, or ``output`` is
            of the wrong kind.
    """
    many = len(inputs) > 1 or os.path.isdir(inputs[0])
    if output is None:
        if many:
            raise UsageError("several files need -o/--output, the folder to write them to")
        source = Path(inputs[0])
        job = Job(source, source.with_suffix(write_suffixes[0]))
        return JobList([job], many=False, into_folder=False)
    if not many and not os.path.isdir(output) and not output.endswith(os.sep):
        if Path(output).suffix.lower() not in write_suffixes:
            kinds = " or ".join(write_suffixes)
            raise UsageError(f"-o {output}: expected a name in {kinds}, or a folder ending in /")
        return JobList([Job(Path(inputs[0]), Path(output))], many=False, into_folder=False)
    if os.path.exists(output) and not os.path.isdir(output):
        raise UsageError(f"-o {output}: several files need a folder, and this is a file")
    jobs = [
        Job(source, Path(output, f"{stem}{write_suffixes[0]}"))
        for source, stem in _sources(inputs, read_suffixes)
    ]
    target, count = Counter(job.target for job in jobs).most_common(1)[0]
    if count > 1:
        names = " and ".join(str(job.source) for job in jobs if job.target == target)
        raise UsageError(f"{names} would both become {target}")
    return JobList(jobs, many, into_folder=True)


def _sources(inputs: list[str], suffixes: Collection[str]) -> Iterator[tuple[Path, Path]]:
    """Yield every input file, and its path below the folder it was found in, without suffix."""
    for name in map(Path, inputs):
        if not name.is_dir():
            yield name, Path(name.stem)
            continue
        paths = sorted(
            Path(folder, file)
            for folder, _, files in os.walk(name)
            for file in files
            if Path(file).suffix.lower() in suffixes and not file.startswith(".")
        )
        if not paths:
            kind = "audio" if ".wav" in suffixes else "/".join(suffixes)
            raise UsageError(f"{name}: this folder holds no {kind} files")
        for path in paths:
            yield path, path.relative_to(name).with_suffix("")


def run_job_list(
    job_list: JobList,
    make: Callable[[Job, Callable[[float], object]], str],
    problem_with: Callable[[Job], str | None],
    seconds: Callable[[Job], float],
    force: bool,
    streams: StandardStreams,
) -> int:
    """Do all jobs; return the exit status: 0, or 1 if any of them failed.

    Args:
        make: does one job, reports seconds of audio done to its second argument, and returns
            a line to print.
        problem_with: what is wrong with an existing target; None: nothing.
        seconds: length of a job's audio.
        force: make every target again, though never over an input.
        streams: what ``-`` stands for.
    """
    made = skipped = failed = 0
    streams.read()
    sources = {_identity(job.source) for job in job_list.jobs} - {None}
    with _progress_bar(job_list, seconds) as bar:
        for job in job_list.jobs:
            try:
                if _identity(job.target) in sources:
                    raise FileExistsError(
                        errno.EEXIST, "is an input, which is never overwritten", str(job.target)
                    )
                if os.path.exists(job.target):
                    require_regular(job.target)  # a pipe may have a reader: it is not replaced
                if not force and os.path.lexists(job.target):
                    _check_existing(job, problem_with(job) if job_list.many else "")
                    skipped += 1
                else:
                    if job_list.into_folder:
                        job.target.parent.mkdir(parents=True, exist_ok=True)
                    changed = os.stat(job.source).st_mtime_ns
                    line = make(job, _nothing if job_list.many else bar.update)
                    _date(job.target, changed)
                    streams.write()
                    if not streams.holds_stdout:
                        print_line(streams.named(line))
                    made += 1
            except BrokenPipeError:
                raise  # nobody reads what is printed: no matter of this job
            except (ValueError, OSError) as error:
                print_error(error, job.target, streams)
                failed += 1
                if getattr(error, "errno", None) == errno.ENOSPC:
                    break  # the other jobs would fail alike
            if job_list.many:
                bar.update()
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


def _nothing(_: float) -> None:
    """Progress within a file, where the bar counts files."""


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, whatever its name; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_existing(job: Job, problem: str | None) -> None:
    if problem is not None:
        reason = f", but {problem}" if problem else ""
        raise FileExistsError(
            errno.EEXIST, f"is there already{reason} (--force overwrites)", str(job.target)
        )


def older_than_input(job: Job) -> bool:
    """Whether the input has changed since the output was made."""
    return job.target.stat().st_mtime_ns < job.source.stat().st_mtime_ns


def _date(target: Path, earliest: int) -> None:
    """Have a file no older than its input, which may be of a clock that was ahead of this one."""
    with suppress(OSError):
        if target.stat().st_mtime_ns < earliest:
            os.utime(target, ns=(earliest, earliest))


def _progress_bar(job_list: JobList, seconds: Callable[[Job], float]):
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


def print_line(line: str) -> None:
    """Print a line of results on stdout, above a progress bar; what is no text is escaped."""
    from tqdm import tqdm

    with naming_stdout():
        tqdm.write(escaped(line), file=sys.stdout)
        sys.stdout.flush()


@contextmanager
def naming_stdout() -> Iterator[None]:
    """Have an OSError of what is printed within name standard output."""
    try:
        yield
    except OSError as error:
        error.filename = STDOUT
        raise


def print_text(text: str) -> None:
    """Print several lines as ``print_line`` does."""
    for line in text.split("\n"):
        print_line(line)


def print_note(line: str) -> None:
    """Print a line on stderr that the user should know."""
    from tqdm import tqdm

    tqdm.write(escaped(f"bscodec: note: {line}"), file=sys.stderr)


def print_error(error: Exception, target: Path, streams: StandardStreams) -> None:
    """Print an error on stderr, in one line; ``target`` was being written."""
    from tqdm import tqdm

    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(target)
    tqdm.write(f"bscodec: error: {streams.named(one_line(error))}", file=sys.stderr)


def one_line(error: Exception) -> str:
    """Return what an error says, the file's name first, in one line that is fit for a terminal."""
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
        return escaped(f"{os.fsdecode(error.filename)}: {reason}")
    text = str(error)
    if not type(error).__module__.startswith("espnet2.gan_codec"):
        text = " ".join(text.split())  # line breaks of ours are of names, and so are escaped
    return escaped(text) or type(error).__name__
