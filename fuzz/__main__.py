"""``make fuzz``: every target for its share of the time, and a table of what was run and found."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS, be_quiet

HERE = Path(__file__).resolve().parent
CASES, CORPUS, FOUND = HERE / "cases", HERE / "corpus", HERE / "found"
MAX_INPUT_BYTES = 1 << 16
MAX_SECONDS = 20  # of one input
MAX_MEMORY_MB = 1500  # of the process, of which torch is a third
NICENESS = 15
_COUNTERS = re.compile(r"^#\d+\s.*?cov: (\d+) ft: (\d+)", re.MULTILINE)
_EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)
_FOUND = re.compile(r"Test unit written to (.+)$", re.MULTILINE)
_RUNS = re.compile(r"^#(\d+)\s", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """Of one target.

    Attributes:
        seconds: that it ran, its start included.
        coverage: libFuzzer's ``cov``, the edges that were reached.
        features: its ``ft``, which tells how often each was reached as well.
        found: inputs that are findings.
        failure: why it could not be run.
    """

    target: str
    executions: int
    seconds: float
    coverage: int
    features: int
    found: list[Path]
    failure: str | None = None


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10, metavar="N", help="in all (default: 10)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=TARGETS, default=[*TARGETS], help="targets (default: all)"
    )
    parser.add_argument(
        "--repro", nargs=2, metavar=("TARGET", "FILE"), help="run one input, without atheris"
    )
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line; return 1 if something is found, 2 if nothing could be run."""
    args = get_parser().parse_args(words)
    if args.repro:
        return repro(*args.repro)
    seconds = args.minutes * 60 / len(args.only)
    if seconds < 1:
        print("fuzz: error: --minutes: expected a second for each target", file=sys.stderr)
        return 2
    outcomes = []
    for name in args.only:
        print(f"fuzz: {name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        outcomes.append(fuzz(name, seconds))
    print(table(outcomes))
    for outcome in outcomes:
        for path in outcome.found:
            place = shlex.quote(os.path.relpath(path))
            print(f"{outcome.target}: {sys.executable} -m fuzz --repro {outcome.target} {place}")
        if outcome.failure:
            print(f"fuzz: error: {outcome.target}: {outcome.failure}", file=sys.stderr)
    if any(outcome.failure for outcome in outcomes):
        return 2
    return int(any(outcome.found for outcome in outcomes))


def repro(name: str, path: str) -> int:
    """Give one input to a target; a finding ends in its traceback."""
    be_quiet()
    with tempfile.TemporaryDirectory() as folder:
        accepted = TARGETS[name].run(Path(path).read_bytes(), Path(folder))
    print(f"{path}: {'accepted' if accepted else 'refused, as documented'}")
    return 0


def fuzz(name: str, seconds: float) -> Outcome:
    """Run a target in a process of its own, from its seeds, kept cases and the last corpus."""
    corpus = CORPUS / name
    for folder in (corpus, CASES / name, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        corpus.joinpath(f"seed{number}").write_bytes(seed)
    log = FOUND / f"{name}.log"
    options = {
        "max_total_time": round(seconds),
        "max_len": MAX_INPUT_BYTES,
        "timeout": MAX_SECONDS,
        "report_slow_units": MAX_SECONDS,
        "rss_limit_mb": MAX_MEMORY_MB,
        "print_final_stats": 1,
        "dict": HERE / "words.dict",
        "artifact_prefix": f"{FOUND}/{name}-",
    }
    command = [sys.executable, "-m", "fuzz.worker", name]
    command += [f"-{key}={value}" for key, value in options.items()]
    with tempfile.TemporaryDirectory(prefix="bscodec-fuzz-") as scratch:
        with log.open("w", encoding="utf-8") as file:
            run = subprocess.Popen(
                [*command, str(corpus), str(CASES / name)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=HERE.parent,
                env={**os.environ, "TMPDIR": scratch, "OMP_NUM_THREADS": "1"},
                preexec_fn=lambda: os.nice(NICENESS),
            )
            begin = time.monotonic()
            try:
                status = run.wait()
            except BaseException:
                run.kill()
                run.wait()
                raise
            seconds = time.monotonic() - begin
    text = log.read_text(encoding="utf-8", errors="replace")
    found = [Path(name) for name in _FOUND.findall(text)]
    executions = [int(n) for n in (_EXECUTIONS.findall(text) or _RUNS.findall(text) or ["0"])]
    coverage, features = (_COUNTERS.findall(text) or [("0", "0")])[-1]
    failure = None
    if status and not found:
        failure = f"ended with {status} after {max(executions)} executions: see {log}"
    elif not found:
        log.unlink()
    return Outcome(name, max(executions), seconds, int(coverage), int(features), found, failure)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table of Markdown."""
    heads = ("target", "executions", "executions/s", "cov", "ft", "findings")
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for o in outcomes:
        speed = f"{o.executions / o.seconds:.0f}"
        cells = (o.target, f"{o.executions:,}", speed, o.coverage, o.features, len(o.found))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("fuzz: interrupted", file=sys.stderr)
        sys.exit(130)
