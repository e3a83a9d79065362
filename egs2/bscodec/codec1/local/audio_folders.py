#!/usr/bin/env python3
"""Prepare data sets from any folders of audio.

    audio_folders.py --speech_dirs A B --sound_dirs C --music_dirs D --data data

Makes data/{train_all,dev_sub} of all domains and data/test_{speech,sound,music}. Files of one
folder go into one set, so that a speaker or an album is not on both sides; which folders go where
follows from --seed. Where a domain has fewer than three folders, single files are split
instead, and a note says so. For training, long recordings are cut by a segments file. Missing and
unreadable files are listed in data/skipped.tsv.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import soundfile as sf
from corpus_sets import DOMAINS, CorpusError, run_jobs, run_script, write_table, write_text
from scp import open_audio

LONGEST = 20.0  # seconds of a training utterance; what lasts longer is cut evenly
SUFFIXES = {f".{name.lower()}" for name in sf.available_formats()} | {".oga", ".opus", ".aif"}


@dataclass(frozen=True)
class Source:
    """A file of a set."""

    path: Path
    domain: str
    seconds: float


Sets = dict[str, dict[str, Source]]  # set -> recording -> file
Skipped = list[tuple[Path, str]]  # path and reason


def find_audio(root: Path) -> list[Path]:
    """All audio files below a folder, by their suffixes, sorted."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder")
    found = []
    for folder, _, names in os.walk(root, followlinks=True):
        found += [Path(folder, name) for name in names]
    found = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
    if not found:
        raise CorpusError(f"{root}: no audio files in it")
    return found


def probe_file(path: Path) -> float | str:
    """How long a file lasts, in seconds, or why it cannot be used."""
    try:
        with open_audio(str(path)) as file:
            return file.frames / file.samplerate if file.frames else "no samples"
    except ValueError as error:
        return str(error)


def examine_all(paths: list[Path], nj: int, label: str) -> tuple[dict[Path, float], Skipped]:
    """Look at files: seconds by path of the good ones, and the others with the reasons."""
    found = list(zip(paths, run_jobs(probe_file, paths, nj, label), strict=True))
    good = {path: what for path, what in found if not isinstance(what, str)}
    return good, [(path, what) for path, what in found if isinstance(what, str)]


def name_of(domain: str, path: Path) -> str:
    """An utterance's name: its domain, its file's name made plain, and a digest of its path."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_")[:40]
    digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:8]
    return f"{domain}-{plain or 'x'}-{digest}"


def group(files: list[Path], domain: str) -> list[list[Path]]:
    """The files by folder, or one by one when there are fewer than three folders."""
    folders = defaultdict(list)
    for path in files:
        folders[path.parent].append(path)
    if len(folders) >= 3:
        return [folders[key] for key in sorted(folders)]
    print(f"{domain}: fewer than three folders, so its {len(files)} files are split one by one")
    return [[path] for path in sorted(files)]


def split_groups(
    groups: list[list[Path]], valid: float, test: float, seed: str
) -> dict[str, list[Path]]:
    """Split groups into train, valid and test; each gets one at least.

    Args:
        groups: what must stay together; three or more.
        valid, test: share of the files.
        seed: decides the order.
    """
    groups = list(groups)
    random.Random(seed).shuffle(groups)
    total = sum(map(len, groups))
    parts: dict[str, list[Path]] = {"train": [], "valid": [], "test": []}
    for name, share in (("test", test), ("valid", valid)):
        needed = 1 if name == "valid" else 2  # that the other sets still need
        while len(groups) > needed and (not parts[name] or len(parts[name]) < share * total):
            parts[name] += groups.pop()
    parts["train"] = [path for files in groups for path in files]
    return parts


def prepare(args: argparse.Namespace) -> None:
    """Look at all files, split them and write the sets."""
    if not (0 < args.valid_share and 0 < args.test_share):
        raise CorpusError("--valid_share and --test_share: expected more than 0")
    if args.valid_share + args.test_share >= 1:
        raise CorpusError("--valid_share and --test_share: nothing is left to train on")
    sets: Sets = defaultdict(dict)
    skipped: Skipped = []
    for domain in DOMAINS:
        files = [path for root in getattr(args, f"{domain}_dirs") for path in find_audio(root)]
        if not files:
            continue
        good, bad = examine_all(files, args.nj, f"look at {domain}")
        skipped += bad
        if len(good) < 3:
            raise CorpusError(f"{domain}: expected three readable files, found {len(good)}")
        groups = group(list(good), domain)
        parts = split_groups(groups, args.valid_share, args.test_share, f"{args.seed} {domain}")
        names = {"train": "train_all", "valid": "dev_sub", "test": f"test_{domain}"}
        for part, paths in parts.items():
            sets[names[part]] |= {
                name_of(domain, p): Source(p.absolute(), domain, good[p]) for p in paths
            }
    if not sets:
        raise CorpusError("no folders given; expected --speech_dirs, --sound_dirs or --music_dirs")
    write_sets(args.data, sets, skipped)


def cut(name: str, seconds: float) -> dict[str, tuple[float, float]]:
    """Utterances of a recording: name -> begin and end in seconds; end -1 is that of the file."""
    count = math.ceil(seconds / LONGEST)
    if count <= 1:
        return {name: (0.0, -1.0)}
    step = seconds / count
    return {f"{name}-{i:04d}": (i * step, (i + 1) * step) for i in range(count)}


def write_sets(data: Path, sets: Sets, skipped: Skipped) -> None:
    """Write the sets and the table of skipped files, and print the counts."""
    write_table(data / "skipped.tsv", ("path", "reason"), skipped)
    for reason, count in Counter(why.split(":")[0] for _, why in skipped).most_common():
        print(f"skipped {count}: {reason}; listed in {data / 'skipped.tsv'}")
    for name, files in sorted(sets.items()):
        write_set(data / name, dict(sorted(files.items())), whole=name.startswith("test_"))


def write_set(folder: Path, files: dict[str, Source], whole: bool) -> None:
    """Write segments (unless ``whole``), utt2domain and, last, wav.scp of one set."""
    segments = {rec: {rec: ()} if whole else cut(rec, f.seconds) for rec, f in files.items()}
    utts = [(utt, rec, times) for rec in files for utt, times in segments[rec].items()]
    if not whole:
        lines = [f"{utt} {rec} {begin:.4f} {end:.4f}" for utt, rec, (begin, end) in utts]
        write_text(folder / "segments", lines)
    write_text(folder / "utt2domain", [f"{utt} {files[rec].domain}" for utt, rec, _ in utts])
    write_text(folder / "wav.scp", [f"{rec} {file.path}" for rec, file in files.items()])
    print(f"{folder.name}: {len(files)} files, {len(utts)} utterances")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for domain in DOMAINS:
        parser.add_argument(f"--{domain}_dirs", type=Path, nargs="*", default=[])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--valid_share", type=float, default=0.05, help="of the files")
    parser.add_argument("--test_share", type=float, default=0.05, help="of the files")
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Prepare the sets; returns the exit status."""
    return run_script(prepare, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
