#!/usr/bin/env python3
"""Print the table of docs/mini_choices.md from what mini_choices.sh has made.

choices_table.py exp/mini_choices
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from corpus_sets import CorpusError, run_script
from study_runs import Run, find_runs

from espnet2.gan_codec.scoring.markdown import markdown_table

RESULTS = re.compile(r"1epoch results: (\[train\].*)")
STEP_TIME = re.compile(r":train:\d+-\d+batch: .*? train_time=([\d.e+-]+)")
USAGE = re.compile(r"usage_band\d+=([\d.]+)")


def table(runs: list[Run], configs: Path) -> Iterator[tuple]:
    """One line a choice, the best first."""
    yield (
        "choice",
        "what it is",
        "bit/s",
        "trained numbers",
        "updates",
        "s/update",
        "valid",
        "codes in use, %",
    )
    for run in sorted(runs, key=lambda run: run.results[1]):
        model = run.build()
        updates, loss = run.results
        train = RESULTS.search(run.log)[1].partition("[valid]")[0]
        yield (
            run.system,
            what_it_is(configs / f"{run.system}.yaml"),
            f"{sum(map(math.log2, model.codebook_sizes)) * model.fs / model.hop_length:g}",
            sum(p.numel() for p in model.generator.parameters()),
            updates,
            f"{min(map(float, STEP_TIME.findall(run.log))):.2f}",
            f"{loss:.3f}",
            ", ".join(f"{100 * float(share):.0f}" for share in USAGE.findall(train)),
        )


def what_it_is(config: Path) -> str:
    """Return the sentence that a config begins with. Raises CorpusError where it has none."""
    first = config.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith("# "):
        raise CorpusError(f"{config}: expected a comment in its first line")
    return first[2:].rstrip(".")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="--outdir of mini_choices.sh")
    parser.add_argument("--configs", type=Path, default=Path("study/conf/choices"))
    return parser


def print_table(args: argparse.Namespace) -> None:
    """Print it as Markdown."""
    runs = [run for ours in find_runs(args.folder).values() for run in ours]
    head, *rows = table(runs, args.configs)
    print("\n".join(markdown_table(head, rows, num_names=2)))


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    return run_script(print_table, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
