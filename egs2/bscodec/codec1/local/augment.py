#!/usr/bin/env python3
"""Balance the domains of a formatted training set with seeded variants of its utterances.

    augment.py dump/raw/train dump/raw/train_aug --hours 14

The new set lists every original utterance, where it lies, and as many variants as bring each
domain to its share of the hours: another speed (and so another pitch), a second utterance mixed
in, a steep low-pass (what comes in is often band-limited), a fade to near silence, another level.
Variants that exist are not made again; the same set and seed always give the same variants. A
variant is listed under its base utterance's domain, source and licence; variants.tsv names what
was mixed in.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf
from corpus_audio import PEAK, SAMPLING_RATE, limit, read_flac, resample, write_flac
from corpus_sets import (
    DOMAINS,
    CorpusError,
    Utterance,
    read_set,
    run_jobs,
    run_script,
    write_set,
    write_table,
)
from scipy.signal import fftconvolve, firwin

SHARES = {"speech": 0.4, "sound": 0.3, "music": 0.3}  # of the new set's hours
LOW_PASSED = {"speech": 0.25, "sound": 0.15, "music": 0.15}  # of the domain's hours in it
CUTOFF = (3000.0, 10000.0)  # Hz
GAIN = (-20.0, 3.0)  # dB
SNR = (0.0, 15.0)  # dB
FADED = 0.12  # of the variants
FLOOR = (-70.0, -40.0)  # dB, where a fade ends
LONGEST = 12.0  # seconds a variant may last
LEAST = 2.0  # seconds


@dataclass(frozen=True)
class Style:
    """How the variants of one domain are made; chances are of one variant."""

    speed: tuple[float, float]  # range of the speed factor
    speed_chance: float
    mix_chance: float
    mix_with: tuple[float, float, float]  # weights of speech, sound, music


STYLES = {
    "speech": Style((0.85, 1.2), 0.5, 0.35, (0.0, 0.5, 0.5)),
    "sound": Style((0.7, 1.4), 0.85, 0.5, (0.15, 0.7, 0.15)),
    "music": Style((0.85, 1.2), 0.6, 0.25, (0.3, 0.3, 0.4)),
}


@dataclass(frozen=True)
class Variant:
    """One utterance to make."""

    base: Utterance
    other: Utterance | None  # mixed in
    low_pass_chance: float
    seed: int
    gain: tuple[float, float] = GAIN

    @property
    def utt(self) -> str:
        """The base utterance's name and a digest of all else, so that a name never goes stale."""
        content = f"{self.other and self.other.utt} {self.low_pass_chance:.6f} {self.seed}"
        if self.gain != GAIN:
            content += f" {self.gain}"
        return f"{self.base.utt}-aug{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play (T,) samples ``factor`` times as fast, pitch and all: about (T / factor,)."""
    return resample(samples, SAMPLING_RATE * factor)


def mix(samples: np.ndarray, other: np.ndarray, snr: float, offset: int = 0) -> np.ndarray:
    """Add ``other``, repeated to length from ``offset`` on, ``snr`` dB below ``samples``."""
    other = np.resize(np.roll(other, -offset), len(samples))
    power, other_power = np.mean(np.square(samples)), np.mean(np.square(other))
    if power == 0 or other_power == 0:
        return samples
    return samples + other * math.sqrt(power / other_power / 10 ** (snr / 10))


def low_pass(samples: np.ndarray, cutoff: float) -> np.ndarray:
    """Cut (T,) samples off above ``cutoff`` Hz, 80 dB down within about 240 Hz, zero phase."""
    taps = firwin(511, cutoff, window=("kaiser", 7.857), fs=SAMPLING_RATE)
    return fftconvolve(samples, taps, mode="same").astype(np.float32)


def fade(
    samples: np.ndarray, floor: float, begin: float, end: float, rising: bool = False
) -> np.ndarray:
    """Fall to ``floor`` dB between two instants (fractions of the length) and stay there.

    ``rising`` runs the same curve backwards: from near silence up to full level.
    """
    where = np.linspace(0.0, 1.0, len(samples), dtype=np.float32)
    level = np.interp(where, (begin, end), (0.0, floor))
    curve = (10 ** (level / 20)).astype(np.float32)
    return samples * (curve[::-1] if rising else curve)


def change_gain(samples: np.ndarray, gain: float) -> np.ndarray:
    """Apply ``gain`` dB, or as much of it as does not clip."""
    peak = float(np.abs(samples).max(initial=0.0))
    factor = 10 ** (gain / 20)
    return samples * (min(factor, PEAK / peak) if peak else factor)


def render(variant: Variant) -> np.ndarray:
    """The samples of a variant: (T,) float32 at 24 kHz."""
    rng = np.random.default_rng(variant.seed)
    style = STYLES[variant.base.domain]
    samples = read_flac(Path(variant.base.path))
    if rng.random() < style.speed_chance:
        samples = shorten(change_speed(samples, log_uniform(rng, style.speed)), rng)
    if variant.other is not None:
        other = read_flac(Path(variant.other.path))
        samples = limit(mix(samples, other, rng.uniform(*SNR), int(rng.integers(len(other)))))
    if rng.random() < variant.low_pass_chance:
        samples = low_pass(samples, log_uniform(rng, CUTOFF))
    if rng.random() < FADED:
        begin, floor = rng.uniform(0.0, 0.5), rng.uniform(*FLOOR)
        end, rising = rng.uniform(begin + 0.2, 1.0), rng.random() < 0.5
        samples = fade(samples, floor, begin, end, rising)
    return change_gain(samples, rng.uniform(*variant.gain))


def shorten(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep a random crop of what has become too long."""
    longest = int(LONGEST * SAMPLING_RATE)
    start = int(rng.integers(max(1, len(samples) - longest + 1)))
    return samples[start : start + longest]


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A random factor or frequency, uniform in its logarithm."""
    return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))


def plan(
    utterances: list[Utterance], hours: float, seed: int, gain: tuple[float, float] = GAIN
) -> list[Variant]:
    """Decide on the variants that bring every domain to its share of ``hours``.

    The planned time is that of the base utterances; changes of speed alter it by a few percent.
    """
    utterances = sorted(utterances, key=lambda utterance: utterance.utt)
    variants = []
    for index, domain in enumerate(DOMAINS):
        rng = np.random.default_rng([seed, index])
        mine = [p for p in utterances if p.domain == domain]
        if not mine:
            raise CorpusError(f"no {domain} utterances in the set to augment")
        target = hours * SHARES[domain] * 3600 * SAMPLING_RATE
        missing = target - sum(p.num_samples for p in mine)
        chance = min(1.0, LOW_PASSED[domain] * target / missing) if missing > 0 else 0.0
        while missing > 0:  # every round takes each utterance once, in another order
            for base in (mine[i] for i in rng.permutation(len(mine))):
                if missing <= 0:
                    break
                other = choose_other(utterances, STYLES[domain], rng)
                variants.append(Variant(base, other, chance, int(rng.integers(2**63)), gain))
                missing -= base.num_samples
    return variants


def choose_other(
    utterances: list[Utterance], style: Style, rng: np.random.Generator
) -> Utterance | None:
    """The utterance to mix in, or ``None``."""
    if rng.random() >= style.mix_chance:
        return None
    domain = rng.choice(DOMAINS, p=style.mix_with)
    found = [utterance for utterance in utterances if utterance.domain == domain]
    return found[rng.integers(len(found))]


def produce(variant: Variant, audio: Path) -> Utterance | str:
    """Make a variant unless it is there: its line of the set, or why there is none."""
    path = audio / f"{variant.utt}.flac"
    base = variant.base
    try:
        num_samples = sf.info(str(path)).frames if path.is_file() else 0
        if not num_samples:
            samples = render(variant)
            if len(samples) < LEAST * SAMPLING_RATE:
                return f"shorter than {LEAST:g} s"
            num_samples = write_flac(path, samples)
    except ValueError as error:
        return str(error)
    return replace(base, utt=variant.utt, path=str(path), num_samples=num_samples)


def augment(args: argparse.Namespace) -> None:
    """Make the new set and print what is in it."""
    if args.folder.resolve() == args.train.resolve():
        raise CorpusError(f"{args.folder}: the new set must lie in another folder")
    utterances = read_set(args.train)
    variants = plan(utterances, args.hours, args.seed, tuple(args.gain))
    work = partial(produce, audio=args.folder.resolve() / "audio")
    results = list(run_jobs(work, variants, args.nj, f"augment {args.train.name}"))
    done = [r for r in results if isinstance(r, Utterance)]
    skipped = [
        (v.base.path, r) for v, r in zip(variants, results, strict=True) if isinstance(r, str)
    ]
    header = ("utt", "base", "mixed_with", "seed")
    rows = [(v.utt, v.base.utt, v.other.utt if v.other else "", v.seed) for v in variants]
    write_table(args.folder / "variants.tsv", header, rows)
    write_table(args.folder / "skipped.tsv", ("path", "reason"), skipped)
    write_set(args.folder, utterances + done)
    total = sum(u.num_samples for u in utterances + done)
    for domain in DOMAINS:
        mine = [u.num_samples for u in utterances + done if u.domain == domain]
        hours, share = sum(mine) / SAMPLING_RATE / 3600, sum(mine) / total
        print(f"{args.folder.name}: {domain}: {len(mine)} utterances, {hours:.2f} h, {share:.0%}")
    for reason, count in Counter(why.split(":")[0] for _, why in skipped).most_common():
        print(f"{args.folder.name}: skipped {count}: {reason}")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path, help="the set to start from, e.g. dump/raw/train")
    parser.add_argument("folder", type=Path, help="the set to make, e.g. dump/raw/train_aug")
    parser.add_argument("--hours", type=float, default=14.0, help="length of the new set")
    parser.add_argument(
        "--gain", type=float, nargs=2, default=GAIN, metavar=("LOW", "HIGH"),
        help="range of the random gain in dB; what would clip is turned up less",
    )  # fmt: skip
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make one set; returns the exit status."""
    return run_script(augment, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
