#!/usr/bin/env python3
"""Draw the training curves of small_scale_study.sh: loss by updates, a panel a kind of loss.

study_curves.py exp/small_scale_study curves.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from corpus_sets import run_script
from study_runs import NAMES, Run, find_runs

SKIPPED = 2  # points at the start that may lie outside of the picture


def curves(runs: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Updates (n,), and the loss (runs, n) there, as far as all runs go."""
    tables = [run.curve for run in runs]
    length = min(map(len, tables))
    losses = np.array([[loss for _, loss in table[:length]] for table in tables])
    return np.array([update for update, _ in tables[0][:length]]), losses


def draw(args: argparse.Namespace) -> None:
    """Write the picture: the mean over seeds, and their range as a shade."""
    from matplotlib.figure import Figure

    systems = find_runs(args.folder)
    kinds = list(dict.fromkeys(runs[0].loss for runs in systems.values()))
    figure = Figure(figsize=(5 * len(kinds), 4), layout="constrained")
    for kind, panel in zip(kinds, figure.subplots(1, len(kinds), squeeze=False)[0], strict=True):
        top = 0.0
        for i, (system, runs) in enumerate(systems.items()):
            if runs[0].loss != kind:
                continue
            updates, losses = curves(runs)
            low, mean, high = losses.min(0), losses.mean(0), losses.max(0)
            top = max(top, mean[SKIPPED:].max())
            name = f"{NAMES.get(system, system)}, {len(runs)} seed{'s'[: len(runs) - 1]}"
            panel.plot(updates, mean, color=f"C{i}", label=name)
            panel.fill_between(updates, low, high, color=f"C{i}", alpha=0.2, linewidth=0)
        panel.set(xlabel="updates", ylabel=f"{kind} loss in training", ylim=(None, 1.05 * top))
        panel.grid(True, alpha=0.3)
        panel.legend(frameon=False, fontsize="small")
    figure.savefig(args.picture, dpi=110)


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="--outdir of small_scale_study.sh")
    parser.add_argument("picture", type=Path, help="a .png or .svg file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Draw; returns the exit status."""
    return run_script(draw, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
