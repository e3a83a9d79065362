"""From the inputs and output of a command line to the files to make, and lines to print."""

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.standard_streams import STDOUT
from espnet2.gan_codec.bscodec.cli.usage import UsageError
from espnet2.gan_codec.bscodec.format.escapes import escaped


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


def older_than_input(job: Job) -> bool:
    """Whether the input has changed since the output was made."""
    return job.target.stat().st_mtime_ns < job.source.stat().st_mtime_ns


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


def print_error(line: str) -> None:
    """Print an error on stderr."""
    from tqdm import tqdm

    tqdm.write(f"bscodec: error: {line}", file=sys.stderr)


def one_line(error: Exception) -> str:
    """Return what an error says, the file's name first, in one line that is fit for a terminal."""
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
        return escaped(f"{os.fsdecode(error.filename)}: {reason}")
    text = str(error)
    if not type(error).__module__.startswith("espnet2.gan_codec"):
        text = " ".join(text.split())  # line breaks of ours are of names, and so are escaped
    return escaped(text) or type(error).__name__
