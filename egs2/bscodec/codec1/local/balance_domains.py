#!/usr/bin/env python3
"""List the utterances of sets repeatedly, so that each domain takes its share of the hours.

    balance_domains.py --shares 0.4 0.3 0.3 dump/raw/train dump/raw/train_balanced

The domain that there is most of for its share is listed once, the others as often as they need: a
domain that needs 2.5 times its hours has every utterance twice, and half of them, chosen by a
seed, once more. Nothing is copied; the names end in -0, -1, ...
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from corpus_audio import SAMPLING_RATE
from corpus_sets import DOMAINS, CorpusError, Utterance, read_set, run_script, write_set


def count_hours(utterances: list[Utterance]) -> dict[str, float]:
    """The hours of every domain."""
    hours: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        hours[utterance.domain] += utterance.num_samples / SAMPLING_RATE / 3600
    return dict(hours)


def balance(utterances: list[Utterance], shares: dict[str, float], seed: int) -> list[Utterance]:
    """Repeat utterances until every domain has its share of the hours.

    Args:
        utterances: what there is.
        shares: of the total hours, by domain; a domain without a share is left out.
        seed: chooses the utterances that are listed once more than others.

    Raises:
        CorpusError: there is nothing of a domain that has a share.
    """
    hours = count_hours(utterances)
    for domain, share in shares.items():
        if share and domain not in hours:
            raise CorpusError(f"--shares: {share} of {domain}, of which there is nothing")
    total = max(hours[domain] / share for domain, share in shares.items() if share)
    rng, listed = random.Random(seed), []
    for utterance in sorted(utterances, key=lambda u: u.utt):
        share = shares.get(utterance.domain, 0.0)
        times = total * share / hours[utterance.domain]
        count = int(times) + (rng.random() < times % 1.0)
        listed += [replace(utterance, utt=f"{utterance.utt}-{i}") for i in range(count)]
    return listed


def balance_sets(args: argparse.Namespace) -> None:
    """Read the sets, write the new one, print the hours."""
    if min(args.shares) < 0.0 or sum(args.shares) <= 0.0:
        raise CorpusError(f"--shares {args.shares}: expected numbers of at least 0, not all 0")
    shares = {d: share / sum(args.shares) for d, share in zip(DOMAINS, args.shares, strict=True)}
    by_name = {u.utt: u for folder in args.sets for u in read_set(folder)}
    utterances = list(by_name.values())
    listed = balance(utterances, shares, args.seed)
    write_set(args.folder, listed)
    before, after = count_hours(utterances), count_hours(listed)
    for domain, hours in after.items():
        part = f"{100 * hours / sum(after.values()):.1f} %"
        print(f"{domain}: {before[domain]:.2f} h, listed {hours:.2f} h, {part}")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", type=Path, nargs="+", help="made by format_audio.py")
    parser.add_argument("folder", type=Path, help="the set to write")
    parser.add_argument(
        "--shares",
        type=float,
        nargs=3,
        default=(1, 1, 1),
        metavar=tuple(d.upper() for d in DOMAINS),
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the script; returns the exit status."""
    return run_script(balance_sets, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
