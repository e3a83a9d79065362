"""``python -m benchmarks.scale``: costs of planning and merging, and of a million hours."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.simulation import Run, simulate
from espnet2.gan_codec.scoring.markdown import markdown_table

BYTES_EACH = 400  # of list, indexes and tables on disk, at most
DESCRIPTION = """
Plan, check and merge made-up lists of growing length, each step in a fresh process, and print its
CPU time and peak memory; or estimate what a million hours take.
"""


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="scale", description=DESCRIPTION)
    parser.add_argument(
        "--utterances",
        type=_count,
        nargs="+",
        default=[10**4, 10**5, 10**6],
        metavar="N",
        help="lengths of the list, such as 1e7 (default: 1e4 1e5 1e6)",
    )
    parser.add_argument("--plan-only", action="store_true", help="write a list and plan it")
    parser.add_argument("--estimate", action="store_true", help="the table of a million hours")
    parser.add_argument("--work", metavar="DIR", help="where files are made (default: TMPDIR)")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    args = get_parser().parse_args(cmd)
    with tempfile.TemporaryDirectory(dir=args.work, prefix="scale-") as name:
        work = Path(name)
        if args.estimate:
            from benchmarks.million import report  # imports torch: no simulated process shall

            print(report(work))
            return 0
        runs = []
        for utterances in args.utterances:
            needed = BYTES_EACH * utterances
            if shutil.disk_usage(work).free < needed:
                print(f"scale: error: {work}: {needed / 1e9:.0f} GB are needed", file=sys.stderr)
                return 1
            runs.append(simulate(work / "tokens", utterances, args.plan_only))
            print(" | ".join(cells(runs[-1])), file=sys.stderr, flush=True)
    print(table(runs))
    return 0


def table(runs: list[Run]) -> str:
    """Return the table, as Markdown."""
    head = ["utterances", "shards"]
    head += [f"{step.name}: CPU s, MB" for step in runs[-1].steps]
    head += ["list, MB", "indexes, MB", "tables, MB"]
    return "\n".join(markdown_table(head, map(cells, runs), padded=True))


def cells(run: Run) -> list[str]:
    """Return the run's cells of the table."""
    costs = [f"{s.cpu:.2f}, {s.peak / 1e6:.0f}" if s.peak else f"{s.cpu:.2f}" for s in run.steps]
    sizes = [f"{size / 1e6:.4g}" for size in run.sizes.values()]
    return [f"{run.utterances:,}", f"{run.shards:,}", *costs, *sizes]


def _count(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 10**9 or value != int(value):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1 to 1e9")
    return int(value)


if __name__ == "__main__":
    sys.exit(main())
