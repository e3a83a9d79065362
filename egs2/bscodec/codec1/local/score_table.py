#!/usr/bin/env python3
"""One table of the scores of stage 7: a line a model, all its test sets side by side.

    score_table.py exp/codec_*/decode_*

Takes the folders that stage 6 decodes to, each with <test set>/scores/summary.json, and prints a
table in Markdown: bit rate, then every metric of every domain; the best of a column in bold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from corpus_sets import DOMAINS, CorpusError

ARROWS = {"lower": "↓", "higher": "↑"}
NOTHING = "–"
Column = tuple[str, str]  # domain and metric


class Scores:
    """What one model has scored on all of its test sets."""

    def __init__(self, folder: Path):
        model = re.sub(r"^codec_|_raw_fs\d+$", "", folder.parent.name)
        self.name = f"{model} {folder.name}"
        self.means: dict[Column, float] = {}
        self.better: dict[Column, str] = {}
        self.bits = self.seconds = 0.0
        paths = sorted(folder.glob("*/scores/summary.json"))
        if not paths:
            raise CorpusError(f"{folder}: no */scores/summary.json; stage 7 makes it")
        for path in paths:
            self._add(path)

    def _add(self, path: Path) -> None:
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            (system,) = summary["systems"].values()
            for domain, result in system["domains"].items():
                for metric, estimate in result["metrics"].items():
                    if estimate["mean"] is not None:
                        self.means[domain, metric] = estimate["mean"]
                        self.better[domain, metric] = summary["metrics"][metric]["better"]
                if result["kbps"] is not None:
                    self.bits += result["kbps"] * result["seconds"]
                    self.seconds += result["seconds"]
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise CorpusError(f"{path}: not the scores of one model: {error}") from None

    @property
    def kbps(self) -> str:
        """The bit rate over all test sets."""
        return f"{self.bits / self.seconds:.2f}" if self.seconds else NOTHING


def to_markdown(models: list[Scores]) -> str:
    """The table, its columns in the order of domains and metrics."""
    better = {column: way for model in models for column, way in model.better.items()}
    columns = sorted(better, key=lambda column: DOMAINS.index(column[0]))  # stable in the metrics
    head = ["model", "kbps"]
    head += [f"{domain} {metric} {ARROWS[better[domain, metric]]}" for domain, metric in columns]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    best = {}
    for column in columns:
        choose = max if better[column] == "higher" else min
        best[column] = choose(m.means[column] for m in models if column in m.means)
    for model in models:
        row = [model.name, model.kbps]
        for column in columns:
            text = f"{model.means[column]:.3f}" if column in model.means else NOTHING
            bold = len(models) > 1 and model.means.get(column) == best[column]
            row.append(f"**{text}**" if bold else text)
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    args = parser.parse_args(argv)
    try:
        print(to_markdown([Scores(folder) for folder in args.folders]))
    except (CorpusError, OSError) as error:
        print(f"score_table.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
