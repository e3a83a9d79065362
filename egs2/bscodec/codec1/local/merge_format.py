#!/usr/bin/env python3
"""Join what the jobs of format_wav_scp.py wrote into one set.

    merge_format.py --data data/x --out dump/raw/org/x PART...

Tables of the data folder whose names begin with utt2 come along, for the utterances that are
there. Segments in OUT/audio that no utterance needs any longer are removed. Ends with an error
when nothing could be formatted.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from corpus_audio import SAMPLING_RATE
from corpus_sets import CorpusError, read_table, run_script, write_table, write_text
from scp import read_counts, read_scp


def copy_tables(source: Path, folder: Path, utts: list[str]) -> None:
    """Copy the lines of the utt2* tables that belong to ``utts``."""
    for path in sorted(source.glob("utt2*")):
        if path.name != "utt2num_samples":
            table = read_scp(path)
            write_text(folder / path.name, [f"{u} {table[u]}" for u in utts if u in table])


def remove_orphans(audio: Path, wavs: dict[str, str]) -> None:
    """Remove the segments that no utterance needs any longer."""
    needed = set(wavs.values())
    for path in audio.glob("*/*.flac"):
        if str(path) not in needed:
            path.unlink()


def write_joined(folder: Path, wavs: dict[str, str], counts: dict[str, int]) -> None:
    """Write feats_type, utt2num_samples and, last, wav.scp."""
    utts = sorted(wavs)
    write_text(folder / "feats_type", ["raw"])
    write_text(folder / "utt2num_samples", [f"{utt} {counts[utt]}" for utt in utts])
    write_text(folder / "wav.scp", [f"{utt} {wavs[utt]}" for utt in utts])


def merge(args: argparse.Namespace) -> None:
    """Make the set and print what is in it and what was skipped."""
    wavs, counts, skipped = {}, {}, []
    for part in args.parts:
        wavs |= read_scp(part / "wav.scp")
        counts |= read_counts(part / "utt2num_samples")
        with (part / "skipped.tsv").open(encoding="utf-8", newline="") as file:
            skipped += read_table(file, part / "skipped.tsv", ("utt", "path", "reason"))
    table = args.out / "skipped.tsv"
    rows = sorted((row["utt"], row["path"], row["reason"]) for row in skipped)
    write_table(table, ("utt", "path", "reason"), rows)
    for reason, count in Counter(row[2].split(":")[0] for row in rows).most_common():
        print(f"{args.out.name}: skipped {count}: {reason}; listed in {table}")
    if not wavs:
        raise CorpusError(f"{args.data}: nothing could be formatted; see {table}")
    remove_orphans(args.out.absolute() / "audio", wavs)
    copy_tables(args.data, args.out, sorted(wavs))
    write_joined(args.out, wavs, counts)
    hours = sum(counts.values()) / SAMPLING_RATE / 3600
    print(f"{args.out.name}: {len(wavs)} utterances, {hours:.3f} h")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make the set; returns the exit status."""
    return run_script(merge, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
