#!/usr/bin/env python3
"""Prepare the corpora of the paper's mixture from where they lie on this machine.

    paper_corpora.py --libritts DIR --fsd50k DIR --musdb18 DIR --data data

Those that are not given are left out. Speech, sound and music are combined into data/train_all
and data/dev_sub; data/test_{speech,sound,music} are the corpora's own test parts. Validation takes
the corpora's own parts where there are any (LibriTTS dev-clean, ESC-50 fold 4), else a seeded
share of the training folders' files (of MUSDB18: of its songs). A corpus with a missing part is
refused; unreadable files are skipped, listed in data/skipped.tsv.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from audio_folders import (
    Sets,
    Skipped,
    Source,
    examine_all,
    find_audio,
    name_of,
    split_groups,
    write_sets,
)
from corpus_sets import CorpusError, run_script

Parts = dict[str, list[Path]]  # train, valid, test


def libritts(root: Path, share: float, seed: int) -> Parts:
    """LibriTTS: its train-*, dev-clean and test-clean."""
    train = sorted(root.glob("train-*"))
    if not train:
        raise CorpusError(f"{root}: no train-* folder of LibriTTS in it")
    return {
        "train": [path for folder in train for path in find_audio(folder)],
        "valid": find_audio(root / "dev-clean"),
        "test": find_audio(root / "test-clean"),
    }


def audioset(root: Path, share: float, seed: int) -> Parts:
    """AudioSet, or any corpus with the folders train and eval."""
    return hold_out(find_audio(root / "train"), find_audio(root / "eval"), share, seed)


def fsd50k(root: Path, share: float, seed: int) -> Parts:
    """FSD50K: its dev_audio and eval_audio."""
    train = find_audio(root / "FSD50K.dev_audio")
    return hold_out(train, find_audio(root / "FSD50K.eval_audio"), share, seed)


def esc50(root: Path, share: float, seed: int) -> Parts:
    """ESC-50, whose file names begin with the fold: 5 is the test, 4 validates."""
    parts: Parts = {"train": [], "valid": [], "test": []}
    names = {"4": "valid", "5": "test"}
    for path in find_audio(root / "audio"):
        parts[names.get(path.name.partition("-")[0], "train")].append(path)
    return parts


def musdb18(root: Path, share: float, seed: int) -> Parts:
    """MUSDB18 as WAV (musdb18hq): the mixtures of its train and test songs."""
    found = {part: sorted((root / part).glob("*/mixture.wav")) for part in ("train", "test")}
    for part, paths in found.items():
        if not paths:
            raise CorpusError(f"{root / part}: no */mixture.wav; the WAV form (HQ) is needed")
    return hold_out(found["train"], found["test"], share, seed)


def hold_out(train: list[Path], test: list[Path], share: float, seed: int) -> Parts:
    """Take a share of the training files, one at least, for validation."""
    parts = split_groups([[path] for path in train], share, 0.0, str(seed))
    return {"train": parts["train"] + parts["test"], "valid": parts["valid"], "test": test}


CORPORA: dict[str, tuple[str, Callable[[Path, float, int], Parts]]] = {
    "libritts": ("speech", libritts),
    "audioset": ("sound", audioset),
    "fsd50k": ("sound", fsd50k),
    "esc50": ("sound", esc50),
    "musdb18": ("music", musdb18),
}


def prepare(args: argparse.Namespace) -> None:
    """Look at all files and write the sets."""
    if all(getattr(args, corpus) is None for corpus in CORPORA):
        raise CorpusError("no corpus is given; db.sh says where they lie")
    if not 0 < args.valid_share < 1:
        raise CorpusError(f"--valid_share {args.valid_share}: expected 0 < share < 1")
    sets: Sets = defaultdict(dict)
    skipped: Skipped = []
    for corpus, (domain, find) in CORPORA.items():
        root = getattr(args, corpus)
        if root is None:
            print(f"{corpus}: left out, no path is given")
            continue
        names = {"train": "train_all", "valid": "dev_sub", "test": f"test_{domain}"}
        for part, paths in find(root, args.valid_share, args.seed).items():
            good, bad = examine_all(paths, args.nj, f"look at {corpus} {part}")
            skipped += bad
            print(f"{corpus}: {part}: {len(good)} files, {len(bad)} skipped")
            sets[names[part]] |= {
                name_of(domain, path): Source(path.absolute(), domain, seconds)
                for path, seconds in good.items()
            }
    write_sets(args.data, sets, skipped)


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for corpus, (domain, _) in CORPORA.items():
        parser.add_argument(f"--{corpus}", type=Path, metavar="DIR", help=domain)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--valid_share", type=float, default=0.02, help="of the training files")
    parser.add_argument("--nj", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Prepare the sets; returns the exit status."""
    return run_script(prepare, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
