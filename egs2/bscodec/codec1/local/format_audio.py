#!/usr/bin/env python3
"""Turn a list of clips into a set of 24 kHz mono 16-bit FLAC pieces.

    format_audio.py --pool downloads/pool data/train/clips.tsv dump/raw/train

Long files are cut into equal pieces; short ones (single words, effects) are joined with others of
the same source and licence, a short silence between them. With --as_is every clip becomes one
piece, which is what test sets want. Pieces that exist are not made again, and the same list, seed
and lengths always give the same pieces.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import sys
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf
from corpus_audio import SAMPLING_RATE, limit, read_native, resample, write_flac
from corpus_sets import (
    DOMAINS,
    Clip,
    CorpusError,
    Utterance,
    read_clips,
    run_jobs,
    run_script,
    write_set,
    write_table,
)

GAP = (0.05, 0.2)  # seconds of silence between joined clips
RAMP = 0.005  # seconds of fade at the ends of a joined clip, against clicks


@dataclass(frozen=True)
class Piece:
    """What one FLAC file will hold: clips of one source, silences between them."""

    utt: str
    clips: tuple[Clip, ...]
    gaps: tuple[float, ...]  # seconds; one fewer than clips

    @property
    def seconds(self) -> float:
        """The length planned, in seconds."""
        return sum(clip.seconds for clip in self.clips) + sum(self.gaps)


def make_piece(clips: list[Clip], gaps: list[float] = ()) -> Piece:
    """Name a piece after its source and its content, so that a name never goes stale."""
    told = repr([astuple(clip) for clip in clips]) + repr([round(gap, 6) for gap in gaps])
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    name = clips[0].source.replace(" ", "_")
    return Piece(f"{clips[0].domain}-{name}-{digest}", tuple(clips), tuple(gaps))


def cut(clip: Clip, longest: float) -> list[Clip]:
    """Cut a clip into equal stretches of at most ``longest`` seconds."""
    count = max(1, math.ceil(clip.seconds / longest))
    step = clip.seconds / count
    return [replace(clip, start=clip.start + i * step, seconds=step) for i in range(count)]


def join(clips: list[Clip], shortest: float, longest: float, rng: random.Random) -> list[Piece]:
    """Join short clips, in a random order, into pieces of ``shortest`` to ``longest`` seconds.

    Every clip must be shorter than ``shortest``; so may be the last piece.
    """
    clips = list(clips)
    rng.shuffle(clips)
    pieces, parts, gaps, total = [], [], [], 0.0
    target = rng.uniform(shortest, longest)
    for clip in clips:
        gap = rng.uniform(*GAP) if parts else 0.0
        if parts and total + gap + clip.seconds > target and total >= shortest:
            pieces.append(make_piece(parts, gaps))
            parts, gaps, total, gap = [], [], 0.0, 0.0
            target = rng.uniform(shortest, longest)
        if parts:
            gaps.append(gap)
        parts.append(clip)
        total += gap + clip.seconds
    if parts:
        pieces.append(make_piece(parts, gaps))
    return pieces


def plan(
    clips: list[Clip], shortest: float, longest: float, least: float, seed: int
) -> tuple[list[Piece], list[Clip]]:
    """Decide on all pieces of a set.

    Args:
        clips: what there is.
        shortest, longest: the usual range of a piece, in seconds.
        least: no piece is shorter, in seconds.
        seed: of the order in which short clips are joined.

    Returns:
        ``(pieces, left)``; ``left`` are clips too short to make a piece even together.
    """
    pieces, left = [], []
    groups = defaultdict(list)
    for clip in clips:
        if clip.seconds >= shortest:
            pieces += [make_piece([part]) for part in cut(clip, longest)]
        else:
            groups[clip.domain, clip.source, clip.licence].append(clip)
    for key in sorted(groups):
        rng = random.Random(f"{seed} {key}")
        pieces += join(groups[key], shortest, longest, rng)
    pieces, short = split(pieces, least)
    # Effects that their source cannot fill a piece with are joined within their package; two
    # voices are never joined.
    groups = defaultdict(list)
    for piece in short:
        for clip in piece.clips:
            package, _, _ = clip.path.partition("/")
            group = clip.source if clip.domain == "speech" else package
            groups[clip.domain, group].append(clip)
    for key in sorted(groups):
        rest = join(groups[key], shortest, longest, random.Random(f"{seed} {key}"))
        rest, short = split(rest, least)
        pieces += rest
        left += [clip for piece in short for clip in piece.clips]
    return pieces, left


def split(pieces: list[Piece], least: float) -> tuple[list[Piece], list[Piece]]:
    """Part pieces into those of at least ``least`` seconds and the rest."""
    long = [piece for piece in pieces if piece.seconds >= least]
    return long, [piece for piece in pieces if piece.seconds < least]


def choose(pieces: list[Piece], seconds: float, seed: int) -> list[Piece]:
    """A random choice of pieces with up to ``seconds`` for each domain."""
    chosen = []
    for domain in DOMAINS:
        mine = sorted((p for p in pieces if p.clips[0].domain == domain), key=lambda p: p.utt)
        random.Random(seed).shuffle(mine)
        total = 0.0
        for piece in mine:
            if total + piece.seconds <= seconds:
                chosen.append(piece)
                total += piece.seconds
    return chosen


def render(piece: Piece, pool: Path) -> np.ndarray:
    """The samples of a piece: (T,) float32 at 24 kHz.

    Raises:
        ValueError: a file is missing or cannot be decoded; the message names it.
    """
    parts = []
    for index, clip in enumerate(piece.clips):
        samples = read_clip(clip, pool)
        if len(piece.clips) > 1:
            samples = fade_ends(samples)
        if index:
            silence = round(piece.gaps[index - 1] * SAMPLING_RATE)
            parts.append(np.zeros(silence, np.float32))
        parts.append(samples)
    return limit(np.concatenate(parts))


def read_clip(clip: Clip, pool: Path) -> np.ndarray:
    """One clip, its stems summed: (T,) float32 at 24 kHz."""
    mix = np.zeros(0, np.float32)
    for path in filter(None, (clip.path, clip.stem)):
        try:
            samples, rate = read_native(pool / path, clip.start, clip.seconds)
        except ValueError as error:
            raise ValueError(f"{path}\t{error}") from None
        samples = resample(samples, rate)
        short, mix = sorted((mix, samples), key=len)
        mix = mix.copy()
        mix[: len(short)] += short
    return mix


def fade_ends(samples: np.ndarray) -> np.ndarray:
    """Ramp the first and last milliseconds from and to zero."""
    count = min(round(RAMP * SAMPLING_RATE), len(samples) // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    samples = samples.copy()
    samples[:count] *= ramp
    samples[len(samples) - count :] *= ramp[::-1]
    return samples


def produce(piece: Piece, pool: Path, audio: Path) -> Utterance | str:
    """Make a piece unless it is there: its line of the set, or why it cannot be made."""
    path = audio / f"{piece.utt}.flac"
    try:
        num_samples = sf.info(str(path)).frames if path.is_file() else 0
        num_samples = num_samples or write_flac(path, render(piece, pool))
    except ValueError as error:
        return str(error)
    sources = "+".join(sorted({clip.source for clip in piece.clips}))
    licences = "; ".join(sorted({clip.licence for clip in piece.clips}))
    domain = piece.clips[0].domain
    return Utterance(piece.utt, str(path), num_samples, domain, sources, licences)


def format_set(args: argparse.Namespace) -> None:
    """Plan, make and list a set; print what became of the clips."""
    if not 0 < args.least_seconds <= args.min_seconds <= args.max_seconds / 2:
        raise CorpusError(
            "--least_seconds <= --min_seconds <= half of --max_seconds is expected, got "
            f"{args.least_seconds}, {args.min_seconds}, {args.max_seconds}"
        )
    clips = read_clips(args.clips)
    if args.as_is:
        pieces, left = [make_piece([clip]) for clip in clips], []
    else:
        pieces, left = plan(
            clips, args.min_seconds, args.max_seconds, args.least_seconds, args.seed
        )
    if args.domain_seconds:
        pieces = choose(pieces, args.domain_seconds, args.seed)
    if not pieces:
        raise CorpusError(f"{args.clips}: no clips to make pieces of")
    audio = args.folder.resolve() / "audio"
    work = partial(produce, pool=args.pool, audio=audio)
    results = list(run_jobs(work, pieces, args.nj, f"format {args.folder.name}"))
    done = [r for r in results if isinstance(r, Utterance)]
    skipped = [tuple(r.split("\t", 1)) for r in results if isinstance(r, str)]
    skipped += [(clip.path, "too short for a piece") for clip in left]
    if not done:
        raise CorpusError(f"{args.clips}: no piece could be made; first: {skipped[0]}")
    write_table(args.folder / "skipped.tsv", ("path", "reason"), skipped)
    write_set(args.folder, done)
    for domain in DOMAINS:
        mine = [u.num_samples for u in done if u.domain == domain]
        if mine:
            hours = sum(mine) / SAMPLING_RATE / 3600
            print(f"{args.folder.name}: {domain}: {len(mine)} pieces, {hours:.3f} h")
    for reason, count in Counter(why.split(":")[0] for _, why in skipped).most_common():
        print(f"{args.folder.name}: skipped {count}: {reason}")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="the list made by open_corpus.py")
    parser.add_argument("folder", type=Path, help="the set to make, e.g. dump/raw/train")
    parser.add_argument("--pool", type=Path, default=Path("downloads/pool"))
    parser.add_argument("--as_is", action="store_true", help="one piece a clip, of any length")
    parser.add_argument("--min_seconds", type=float, default=4.0)
    parser.add_argument("--max_seconds", type=float, default=10.0)
    parser.add_argument(
        "--least_seconds", type=float, default=2.0, help="drop what stays shorter than this"
    )
    parser.add_argument(
        "--domain_seconds", type=float, default=0.0, help="choose this much a domain; 0: all"
    )
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make one set; returns the exit status."""
    return run_script(format_set, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
