#!/usr/bin/env python3
"""Fetch, unpack and list the open corpus: ten Debian packages of speech, sound and music.

    open_corpus.py --download --debs downloads/debs --pool downloads/pool --data data

With --more, 69 packages more of training and validation data. Three steps, each of which takes
up where it was cut off: download the packages (only with --download), unpack them, and read every
file once to write one list of clips a set:
data/{train,valid,test_speech,test_sound,test_music}/clips.tsv. What cannot be used is listed with
its reason in data/skipped.tsv.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import sys
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path, PurePosixPath

from corpus_audio import read_native
from corpus_download import download, lacks_client
from corpus_sets import (
    DOMAINS,
    Clip,
    CorpusError,
    read_table,
    run_jobs,
    run_script,
    write_clips,
    write_table,
)
from corpus_unpack import unpack

MANIFEST = Path(__file__).parent / "open_corpus"  # files.tsv.gz, test_clips.tsv
LEFT_OUT = {"tux_ca": "left out: narrow-band"}
VOICES = "hw_"  # the Hedgewars voices: many sound pitch-shifted
STEMMED = "fretsonfire-songs-"  # packages whose songs come as song.ogg + guitar.ogg
TOLERANCE = 0.1  # seconds a file may be shorter than the manifest says

Tables = tuple[list[dict], list[dict]]  # of all files, and of the test clips


def read_manifest(folder: Path, more: bool = False) -> Tables:
    """The tables of all files, with ``more`` also those of further packages, and of the tests."""
    columns = ("path", "domain", "source", "licence")
    files = []
    for name in ("files.tsv.gz", "files_more.tsv.gz")[: 1 + more]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            needed = (*columns, "package", "split", "dur")
            files += read_table(file, name, needed, csv.QUOTE_NONE)
    with (folder / "test_clips.tsv").open(encoding="utf-8") as file:
        needed = (*columns, "start", "dur")
        tests = read_table(file, "test_clips.tsv", needed, csv.QUOTE_NONE)
    return files, tests


def take_packages(files: list[dict], tests: list[dict], packages: list[str] | None) -> Tables:
    """The rows of both tables that belong to some packages; ``None``: to any.

    Raises:
        CorpusError: the manifest has nothing of a package.
    """
    known = sorted({row["package"] for row in files})
    unknown = [name for name in packages or () if name not in known]
    if unknown:
        raise CorpusError(f"--packages {unknown[0]}: expected some of {' '.join(known)}")
    wanted = set(packages or known)
    return (
        [row for row in files if row["package"] in wanted],
        [row for row in tests if row["path"].partition("/")[0] in wanted],
    )


def plan_clips(files: list[dict], tests: list[dict], pool: Path, voices: float, seed: int):
    """Choose the clips of every set, before any of them is read.

    Args:
        files, tests: the manifest.
        pool: where the packages are unpacked (asked for guitar stems only).
        voices: the largest share of the training speech that Hedgewars voices may take.
        seed: chooses which voices stay.

    Returns:
        ``(sets, skipped)``: {set: [Clip, ...]} and [(path, reason), ...].
    """
    sets: dict[str, list[Clip]] = {name: [] for name in ("train", "valid")}
    sets |= {f"test_{domain}": [] for domain in DOMAINS}
    skipped = []
    for row in files:
        path = f"{row['package']}/{row['path']}"
        if row["split"] not in ("train", "valid"):
            continue  # of the test sources, only the chosen clips are used
        if row["source"] in LEFT_OUT:
            skipped.append((path, LEFT_OUT[row["source"]]))
        elif not (is_guitar(path) and has_song(path, files)):
            sets[row["split"]].append(make_clip(row, path, pool, "0"))
    for row in tests:
        sets[f"test_{row['domain']}"].append(make_clip(row, row["path"], pool, row["start"]))
    sets["train"], dropped = balance_speakers(sets["train"], voices, seed)
    skipped += [(clip.path, "left out: enough Hedgewars voices") for clip in dropped]
    return sets, skipped


def make_clip(row: dict, path: str, pool: Path, start: str) -> Clip:
    """A manifest row as a clip, with the guitar stem of a Frets on Fire song."""
    stem = ""
    if path.startswith(STEMMED) and path.endswith("/song.ogg"):
        guitar = str(PurePosixPath(path).with_name("guitar.ogg"))
        stem = guitar if (pool / guitar).is_file() else ""
    numbers = float(start), float(row["dur"])
    return Clip(path, stem, row["domain"], row["source"], row["licence"], *numbers)


def is_guitar(path: str) -> bool:
    """Whether a file is the guitar stem of a song."""
    return path.startswith(STEMMED) and path.endswith("/guitar.ogg")


def has_song(path: str, files: list[dict]) -> bool:
    """Whether the song that a guitar stem belongs to is in the manifest as well."""
    song = str(PurePosixPath(path).with_name("song.ogg"))
    return any(f"{row['package']}/{row['path']}" == song for row in files)


def balance_speakers(clips: list[Clip], share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Keep at max_jobs ``share`` of the speech time to Hedgewars voices: (kept, dropped)."""
    speech = [c for c in clips if c.domain == "speech"]
    voices = [c for c in speech if c.source.startswith(VOICES)]
    others = sum(c.seconds for c in speech) - sum(c.seconds for c in voices)
    room = others * share / (1.0 - share)
    random.Random(seed).shuffle(voices)
    dropped = set()
    for clip in voices:
        room -= clip.seconds
        if room < 0:
            dropped.add(clip)
    return [c for c in clips if c not in dropped], [c for c in clips if c in dropped]


def check_clip(clip: Clip, pool: Path) -> list[tuple[str, str]]:
    """Decode a clip's files to the end; return (path, reason) for each that cannot be used."""
    problems = []
    for path in filter(None, (clip.path, clip.stem)):
        if not (pool / path).is_file():
            problems.append((path, "missing"))
            continue
        try:
            samples, rate = read_native(pool / path, clip.start, clip.seconds)
        except ValueError as error:
            problems.append((path, str(error)))
            continue
        found = len(samples) / rate
        if path == clip.path and found < clip.seconds - TOLERANCE:
            expected = f"{found:.2f} s decoded, {clip.seconds:.2f} s expected"
            problems.append((path, f"too short: {expected}"))
        elif not samples.any():
            problems.append((path, "silent"))
    return problems


def tell_hours(clips: list[Clip]) -> str:
    """The hours of clips, and of each domain that they are from."""
    hours = {d: sum(c.seconds for c in clips if c.domain == d) / 3600 for d in DOMAINS}
    parts = ", ".join(f"{domain} {count:.2f}" for domain, count in hours.items() if count)
    return f"{sum(hours.values()):.2f} h" + (f" ({parts})" if parts else "")


def list_clips(args: argparse.Namespace, files: list[dict], tests: list[dict]) -> None:
    """Check every file and write the lists; print counts, skips included."""
    sets, skipped = plan_clips(files, tests, args.pool, args.voices_share, args.seed)
    checked = {}
    for name, clips in sets.items():
        work = partial(check_clip, pool=args.pool)
        problems = list(run_jobs(work, clips, args.nj, f"check {name}"))
        good = [clip for clip, why in zip(clips, problems, strict=True) if not why]
        skipped += [pair for why in problems for pair in why]
        checked[name] = good
        print(f"{name}: {len(good)} clips, {tell_hours(good)}, {len(clips) - len(good)} skipped")
    write_table(args.data / "skipped.tsv", ("path", "reason"), skipped)
    for reason, count in Counter(why.split(":")[0] for _, why in skipped).most_common():
        print(f"skipped {count}: {reason}")
    if not any(checked.values()):
        raise CorpusError(f"{args.pool}: no usable files; see {args.data / 'skipped.tsv'}")
    for name, good in checked.items():
        write_clips(args.data / name / "clips.tsv", good)


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--download", action="store_true", help="fetch what --debs lacks")
    parser.add_argument("--more", action="store_true", help="69 packages more, 5 GB")
    parser.add_argument("--packages", nargs="+", metavar="NAME", help="only these; default: all")
    parser.add_argument("--debs", type=Path, default=Path("downloads/debs"))
    parser.add_argument("--pool", type=Path, default=Path("downloads/pool"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help="folder of the two tables")
    parser.add_argument(
        "--voices_share", type=float, default=0.15, help="Hedgewars voices in training speech"
    )
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def prepare(args: argparse.Namespace) -> None:
    """With --download, download, unpack and list."""
    if not 0.0 <= args.voices_share < 1.0:
        raise CorpusError(f"--voices_share {args.voices_share}: expected 0 <= share < 1")
    files, tests = take_packages(*read_manifest(args.manifest, args.more), args.packages)
    packages = sorted({row["package"] for row in files})
    if args.download:
        for package in [name for name in packages if lacks_client(name, args.debs)]:
            print(f"{package}: left out, as there is no npm to fetch it with", file=sys.stderr)
            packages.remove(package)
        download(packages, args.debs)
    listed = defaultdict(set)
    for row in files:
        listed[row["package"]].add(row["path"])
    for package in packages:
        unpack(package, args.debs, args.pool, listed[package])
    list_clips(args, files, tests)


def main(argv: list[str] | None = None) -> int:
    """Run the steps; returns the exit status."""
    return run_script(prepare, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
