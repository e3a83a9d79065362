#!/usr/bin/env python3
"""Copy a formatted set without its too short and too long utterances.

    filter_length.py --min_seconds 0.1 --max_seconds 30 dump/raw/org/x dump/raw/x

What was dropped is counted, and listed in dropped.tsv.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from corpus_audio import SAMPLING_RATE
from corpus_sets import CorpusError, run_script, write_table
from merge_format import copy_tables, write_joined
from scp import read_counts, read_scp


def filter_set(args: argparse.Namespace) -> None:
    """Write the new set and print the counts."""
    if not 0 <= args.min_seconds < args.max_seconds:
        raise CorpusError(
            "expected 0 <= --min_seconds < --max_seconds, "
            f"got {args.min_seconds} and {args.max_seconds}"
        )
    wavs = read_scp(args.source / "wav.scp")
    counts = read_counts(args.source / "utt2num_samples")
    seconds = {utt: counts.get(utt, 0) / SAMPLING_RATE for utt in wavs}
    short = [utt for utt in wavs if seconds[utt] < args.min_seconds]
    long = [utt for utt in wavs if seconds[utt] > args.max_seconds]
    dropped = [(u, f"{seconds[u]:.3f}", "too short") for u in short]
    dropped += [(u, f"{seconds[u]:.3f}", "too long") for u in long]
    kept = {utt: wavs[utt] for utt in wavs if utt not in {*short, *long}}
    if not kept:
        raise CorpusError(
            f"{args.source}: no utterance lasts {args.min_seconds:g} to {args.max_seconds:g} s"
        )
    write_table(args.folder / "dropped.tsv", ("utt", "seconds", "reason"), dropped)
    copy_tables(args.source, args.folder, sorted(kept))
    write_joined(args.folder, kept, counts)
    print(
        f"{args.folder.name}: {len(kept)} utterances kept, "
        f"{len(short)} too short and {len(long)} too long dropped"
    )


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--min_seconds", type=float, required=True)
    parser.add_argument("--max_seconds", type=float, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Filter one set; returns the exit status."""
    return run_script(filter_set, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
