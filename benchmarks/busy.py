"""``python -m benchmarks.busy``: what coding takes on idle cores, and where others have them all.

Processes that do nothing but count take every CPU. A job of one thread then has half of a core;
one whose threads wait for each other at every product has far less.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import DIRECTIONS, task
from benchmarks.systems import DEFAULT_MODEL, FORMS, THREE_BANDS, packaged, published
from benchmarks.table import length
from espnet2.gan_codec.bscodec.cli.jobs import one_line
from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
from espnet2.gan_codec.bscodec.demo.info import processor
from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
from espnet2.gan_codec.scoring.markdown import markdown_table

NOTES = """\
idle, busy: seconds, the median of {repeats} runs: with nothing else, and with a process that
counts on every CPU. Commands are whole processes, from their start on, on the demo's clips."""

Job = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One job's two times, in seconds."""

    name: str
    idle: float
    busy: float


def _count() -> None:
    while True:
        pass


@contextlib.contextmanager
def busy_cpus(count: int) -> Iterator[None]:
    """Keep ``count`` CPUs busy with processes of the usual priority."""
    context = multiprocessing.get_context("forkserver")
    others = [context.Process(target=_count, daemon=True) for _ in range(count)]
    try:
        for other in others:
            other.start()
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def times(jobs: Mapping[str, Job], repeats: int) -> dict[str, float]:
    """The median time of each job in seconds, all interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(all_of_it) for name, all_of_it in taken.items()}


def compare(jobs: Mapping[str, Job], repeats: int, cpus: int) -> list[Row]:
    """Time every job on idle and on busy cores, after a first run of each."""
    times(jobs, 1)
    idle = times(jobs, repeats)
    with busy_cpus(cpus):
        busy = times(jobs, repeats)
    return [Row(name, idle[name], busy[name]) for name in jobs]


def python_jobs(conf: Path, lengths: tuple[float, ...]) -> dict[str, Job]:
    """Coding from Python: the packaged model, and one of published size."""
    models = {DEFAULT_MODEL: packaged(), "3-band": published(conf / THREE_BANDS)}
    coders = {name: FORMS["engine"](model) for name, model in models.items()}
    return {
        f"{name}, {way} {length(seconds)}": task(coder, way, seconds)
        for name, coder in coders.items()
        for seconds in lengths
        for way in DIRECTIONS
    }


def command_jobs(work: Path) -> dict[str, Job]:
    """The commands on the demo's clips, each with its default number of processes."""
    clips, coded, decoded = str(SHIPPED), str(work / "coded"), str(work / "decoded")
    commands = {
        "encode": ["encode", clips, "-o", coded, "--force"],
        "decode": ["decode", coded, "-o", decoded, "--force"],
        "tokenize": ["tokenize", clips, "-o", str(work / "tokens"), "--force"],
        "score": ["score", "--ref", clips, "--hyp", f"a={decoded}", "--metrics", "mel,STFT"]
        + ["--no-report"],
    }
    return {
        f"bscodec {name}": lambda arguments=arguments: _run(arguments, work)
        for name, arguments in commands.items()
    }


def _run(arguments: list[str], work: Path) -> None:
    if arguments[0] == "score":  # which goes on from what there is
        arguments = [*arguments, "--outdir", tempfile.mkdtemp(dir=work)]
    command = [sys.executable, "-m", "espnet2.bin.bscodec", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def table(rows: list[Row], cpus: int, repeats: int) -> str:
    """The rows as Markdown, with the machine and what the columns are."""
    cells = [[r.name, f"{r.idle:.3g}", f"{r.busy:.3g}", f"x{r.busy / r.idle:.2f}"] for r in rows]
    lines = markdown_table(["job", "idle", "busy", "ratio"], cells, 1, padded=True)
    head = f"machine: {processor()}, {cpus} CPUs"
    return "\n".join([head, "", *lines, "", NOTES.format(repeats=repeats)])


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.busy", description=__doc__)
    parser.add_argument("--conf", type=Path, default=Path("conf"), metavar="DIR")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--quick", action="store_true", help="to see that all of it runs")
    args = parser.parse_args(cmd)
    cpus, repeats = available_cpus(), 1 if args.quick else args.repeats
    try:
        with tempfile.TemporaryDirectory() as work:
            jobs = python_jobs(args.conf, (0.5,) if args.quick else (1, 10))
            rows = compare(jobs | command_jobs(Path(work)), repeats, cpus)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"benchmarks.busy: error: {one_line(error)}", file=sys.stderr)
        return 1
    print(table(rows, cpus, repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
