#!/usr/bin/env python3
"""Turn a list of clips into a set of 24 kHz mono 16-bit FLAC segments.

    format_audio.py --pool downloads/pool data/train/clips.tsv dump/raw/train

Long files are cut into equal segments; short ones (single words, effects) are joined with others
of the same source and licence, a short silence between them. With --as_is every clip becomes one
segment, which is what test sets want. Segments that exist are not made again; the same list, seed
and lengths always give the same segments.
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
class Segment:
    """What one FLAC file will hold: clips of one source, silences between them."""

    utt: str
    clips: tuple[Clip, ...]
    gaps: tuple[float, ...]  # seconds; one fewer than clips

    @property
    def seconds(self) -> float:
        """The length planned, in seconds."""
        return sum(clip.seconds for clip in self.clips) + sum(self.gaps)


def make_segment(clips: list[Clip], gaps: list[float] = ()) -> Segment:
    """Name a segment after its source and its content, so that a name never goes stale."""
    content = repr([astuple(clip) for clip in clips]) + repr([round(gap, 6) for gap in gaps])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    name = clips[0].source.replace(" ", "_")
    return Segment(f"{clips[0].domain}-{name}-{digest}", tuple(clips), tuple(gaps))


def cut(clip: Clip, max_seconds: float) -> list[Clip]:
    """Cut a clip into equal segments of at most ``max_seconds``."""
    count = max(1, math.ceil(clip.seconds / max_seconds))
    step = clip.seconds / count
    return [replace(clip, start=clip.start + i * step, seconds=step) for i in range(count)]


def join(
    clips: list[Clip], min_seconds: float, max_seconds: float, rng: random.Random
) -> list[Segment]:
    """Join short clips, in a random order, into segments of ``min_seconds`` to ``max_seconds``.

    Every clip must be shorter than ``min_seconds``; so may be the last segment.
    """
    clips = list(clips)
    rng.shuffle(clips)
    segments, parts, gaps, total = [], [], [], 0.0
    target = rng.uniform(min_seconds, max_seconds)
    for clip in clips:
        gap = rng.uniform(*GAP) if parts else 0.0
        if parts and total + gap + clip.seconds > target and total >= min_seconds:
            segments.append(make_segment(parts, gaps))
            parts, gaps, total, gap = [], [], 0.0, 0.0
            target = rng.uniform(min_seconds, max_seconds)
        if parts:
            gaps.append(gap)
        parts.append(clip)
        total += gap + clip.seconds
    if parts:
        segments.append(make_segment(parts, gaps))
    return segments


def plan(
    clips: list[Clip],
    join_seconds: tuple[float, float],
    max_seconds: float,
    least_seconds: float,
    seed: int,
) -> tuple[list[Segment], list[Clip]]:
    """Decide on all segments of a set.

    Args:
        clips: what there is.
        join_seconds: the usual range of a segment that is joined, in seconds; clips that are
            shorter than its lower end are joined.
        max_seconds: the longest segment that is cut, in seconds.
        least_seconds: no segment is shorter, in seconds.
        seed: of the order in which short clips are joined.

    Returns:
        ``(segments, too_short)``; ``too_short``: clips that make no segment even together.
    """
    segments, too_short = [], []
    groups = defaultdict(list)
    for clip in clips:
        if clip.seconds >= join_seconds[0]:
            segments += [make_segment([part]) for part in cut(clip, max_seconds)]
        else:
            groups[clip.domain, clip.source, clip.licence].append(clip)
    for key in sorted(groups):
        rng = random.Random(f"{seed} {key}")
        segments += join(groups[key], *join_seconds, rng)
    segments, short = split(segments, least_seconds)
    # Effects that their source cannot fill a segment with are joined within their package; two
    # voices are never joined.
    groups = defaultdict(list)
    for segment in short:
        for clip in segment.clips:
            package, _, _ = clip.path.partition("/")
            group = clip.source if clip.domain == "speech" else package
            groups[clip.domain, group].append(clip)
    for key in sorted(groups):
        rest = join(groups[key], *join_seconds, random.Random(f"{seed} {key}"))
        rest, short = split(rest, least_seconds)
        segments += rest
        too_short += [clip for segment in short for clip in segment.clips]
    return segments, too_short


def split(segments: list[Segment], least_seconds: float) -> tuple[list[Segment], list[Segment]]:
    """Part segments into those of at least ``least_seconds`` and the rest."""
    long = [segment for segment in segments if segment.seconds >= least_seconds]
    return long, [segment for segment in segments if segment.seconds < least_seconds]


def choose(segments: list[Segment], seconds: float, seed: int) -> list[Segment]:
    """A random choice of segments with up to ``seconds`` for each domain."""
    selected = []
    for domain in DOMAINS:
        mine = sorted((p for p in segments if p.clips[0].domain == domain), key=lambda p: p.utt)
        random.Random(seed).shuffle(mine)
        total = 0.0
        for segment in mine:
            if total + segment.seconds <= seconds:
                selected.append(segment)
                total += segment.seconds
    return selected


def render(segment: Segment, pool: Path) -> np.ndarray:
    """The samples of a segment: (T,) float32 at 24 kHz.

    Raises:
        ValueError: a file is missing or cannot be decoded; the message names it.
    """
    parts = []
    for index, clip in enumerate(segment.clips):
        samples = read_clip(clip, pool)
        if len(segment.clips) > 1:
            samples = fade_ends(samples)
        if index:
            silence = round(segment.gaps[index - 1] * SAMPLING_RATE)
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


def produce(segment: Segment, pool: Path, audio: Path) -> Utterance | str:
    """Make a segment unless it is there: its line of the set, or why it cannot be made."""
    path = audio / f"{segment.utt}.flac"
    try:
        num_samples = sf.info(str(path)).frames if path.is_file() else 0
        num_samples = num_samples or write_flac(path, render(segment, pool))
    except ValueError as error:
        return str(error)
    sources = "+".join(sorted({clip.source for clip in segment.clips}))
    licences = "; ".join(sorted({clip.licence for clip in segment.clips}))
    domain = segment.clips[0].domain
    return Utterance(segment.utt, str(path), num_samples, domain, sources, licences)


def format_set(args: argparse.Namespace) -> None:
    """Plan, make and list a set; print what became of the clips."""
    join_seconds = tuple(args.join_seconds or (args.min_seconds, args.max_seconds))
    if not 0 < args.least_seconds <= args.min_seconds <= args.max_seconds / 2:
        raise CorpusError(
            "--least_seconds <= --min_seconds <= half of --max_seconds is expected, got "
            f"{args.least_seconds}, {args.min_seconds}, {args.max_seconds}"
        )
    if not args.least_seconds <= join_seconds[0] <= join_seconds[1] / 2:
        raise CorpusError(
            "--join_seconds: --least_seconds <= the first <= half of the second is expected, got "
            f"{args.least_seconds}, {join_seconds[0]}, {join_seconds[1]}"
        )
    clips = read_clips(args.clips)
    if args.as_is:
        segments, too_short = [make_segment([clip]) for clip in clips], []
    else:
        segments, too_short = plan(
            clips, join_seconds, args.max_seconds, args.least_seconds, args.seed
        )
    if args.domain_seconds:
        segments = choose(segments, args.domain_seconds, args.seed)
    if not segments:
        raise CorpusError(f"{args.clips}: no clips to make segments of")
    audio = args.folder.resolve() / "audio"
    work = partial(produce, pool=args.pool, audio=audio)
    results = list(run_jobs(work, segments, args.nj, f"format {args.folder.name}"))
    done = [r for r in results if isinstance(r, Utterance)]
    skipped = [tuple(r.split("\t", 1)) for r in results if isinstance(r, str)]
    skipped += [(clip.path, "too short for a segment") for clip in too_short]
    if not done:
        raise CorpusError(f"{args.clips}: no segment could be made; first: {skipped[0]}")
    write_table(args.folder / "skipped.tsv", ("path", "reason"), skipped)
    write_set(args.folder, done)
    for domain in DOMAINS:
        mine = [u.num_samples for u in done if u.domain == domain]
        if mine:
            hours = sum(mine) / SAMPLING_RATE / 3600
            print(f"{args.folder.name}: {domain}: {len(mine)} segments, {hours:.3f} h")
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
    parser.add_argument("--as_is", action="store_true", help="one segment a clip, of any length")
    parser.add_argument("--min_seconds", type=float, default=4.0)
    parser.add_argument("--max_seconds", type=float, default=10.0)
    parser.add_argument(
        "--join_seconds",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="join clips shorter than MIN to segments of MIN to MAX; default: as above",
    )
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
