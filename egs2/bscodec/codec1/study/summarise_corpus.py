#!/usr/bin/env python3
"""Sum up formatted sets by source and licence: printed by domain, written in full as summary.tsv.

    summarise_corpus.py --data data --dump dump/raw --output dump/raw/summary.tsv

A row of status "used" counts the segments and hours of one source under one licence in one set; a
row of status "skipped: <reason>" counts the files (of a list) or segments (of a set) left out.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

from corpus_audio import SAMPLING_RATE
from corpus_sets import CorpusError, read_set, read_table, run_script, write_table

COLUMNS = ("set", "status", "domain", "source", "licence", "segments", "hours")


def used(folder: Path) -> list[tuple]:
    """The rows of one set, a line per domain, source and licence."""
    samples = defaultdict(list)
    for u in read_set(folder):
        samples[u.domain, u.source, u.licence].append(u.num_samples)
    return [
        (folder.name, "used", *key, len(found), f"{sum(found) / SAMPLING_RATE / 3600:.4f}")
        for key, found in sorted(samples.items())
    ]


def skipped(table: Path, name: str) -> list[tuple]:
    """The rows of a table of skipped files, a line per reason."""
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        reasons = Counter(
            row["reason"].removeprefix("left out: ").split(":")[0]
            for row in read_table(file, table, ("path", "reason"))
        )
    return [
        (name, f"skipped: {reason}", "", "", "", count, "") for reason, count in reasons.items()
    ]


def print_domains(rows: list[tuple]) -> None:
    """Print segments and hours by set and domain, and every skip."""
    totals = defaultdict(lambda: [0, 0.0])
    for name, status, domain, _, _, segments, hours in rows:
        if status == "used":
            totals[name, domain][0] += segments
            totals[name, domain][1] += float(hours)
    print(f"{'set':<14}{'domain':<9}{'segments':>9}{'hours':>9}")
    for (name, domain), (segments, hours) in totals.items():
        print(f"{name:<14}{domain:<9}{segments:>9}{hours:>9.3f}")
    for name, status, *_, segments, _ in rows:
        if status != "used":
            print(f"{name}: {segments} {status}")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="lists of clips")
    parser.add_argument("--dump", type=Path, default=Path("dump/raw"), help="formatted sets")
    parser.add_argument("--output", type=Path, default=Path("dump/raw/summary.tsv"))
    return parser


def summarise(args: argparse.Namespace) -> None:
    """Write the table of all sets and print their hours."""
    folders = sorted(path.parent for path in args.dump.glob("*/utt2licence"))
    if not folders:
        raise CorpusError(f"{args.dump}: no formatted sets; run format_audio.py first")
    rows = skipped(args.data / "skipped.tsv", "lists")
    for folder in folders:
        rows += used(folder) + skipped(folder / "skipped.tsv", folder.name)
    write_table(args.output, COLUMNS, rows)
    print_domains(rows)


def main(argv: list[str] | None = None) -> int:
    """Write the summary; returns the exit status."""
    return run_script(summarise, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
