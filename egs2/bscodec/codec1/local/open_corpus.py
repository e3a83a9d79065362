#!/usr/bin/env python3
"""Fetch, unpack and list the open corpus: ten Debian packages of speech, sound and music.

    open_corpus.py --download --debs downloads/debs --pool downloads/pool --data data

Three steps, each of which takes up where it was cut off: download the packages with apt (only
with --download), unpack them with dpkg, and read every file once to write one list
of clips a set: data/{train,valid,test_speech,test_sound,test_music}/clips.tsv. What cannot be
used is listed with its reason in data/skipped.tsv.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath

from corpus_audio import read_native
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

MANIFEST = Path(__file__).parent / "open_corpus"  # files.tsv.gz, test_clips.tsv
PK3 = "usr/share/games/ufoai/base/0snd.pk3"
LEFT_OUT = {"tux_ca": "left out: narrow-band"}
VOICES = "hw_"  # the Hedgewars voices: many sound pitch-shifted
STEMMED = "fretsonfire-songs-"  # packages whose songs come as song.ogg + guitar.ogg
WITHOUT = "--corpus clips of run.sh needs no download"
TOLERANCE = 0.1  # seconds a file may be shorter than the manifest says

Tables = tuple[list[dict], list[dict]]  # of all files, and of the test clips


def read_manifest(folder: Path) -> Tables:
    """The tables of all files and of the test clips."""
    columns = ("path", "domain", "source", "licence")
    with gzip.open(folder / "files.tsv.gz", "rt", encoding="utf-8") as file:
        needed = (*columns, "package", "split", "dur")
        files = read_table(file, "files.tsv.gz", needed, csv.QUOTE_NONE)
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


def download(packages: list[str], debs: Path) -> None:
    """Fetch the packages that are not there yet with ``apt-get download``.

    Raises:
        CorpusError: there is no apt-get, or it could not fetch all of them, and why.
    """
    missing = [name for name in packages if find_deb(debs, name) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise CorpusError(f"apt-get: not found; the packages are Debian's; {WITHOUT}")
    part = debs / ".part"  # apt-get writes under the final name from the first byte on
    part.mkdir(parents=True, exist_ok=True)
    # Its progress goes to the terminal, its complaints into our one line.
    done = subprocess.run(
        ["apt-get", "download", *missing],
        cwd=part, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode == 0:
        for deb in part.glob("*.deb"):
            os.replace(deb, debs / deb.name)
    missing = [name for name in missing if find_deb(debs, name) is None]
    if missing:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        why = f" ({errors[0]})" if errors else ""
        raise CorpusError(
            f"apt-get download: could not fetch {' '.join(missing)}{why}; "
            f"`apt-get update` as root brings new package lists; {WITHOUT}"
        )


def find_deb(debs: Path, package: str) -> Path | None:
    """The newest downloaded file of a package, or ``None``."""
    found = sorted(debs.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def unpack(package: str, debs: Path, pool: Path) -> None:
    """Unpack one package to ``pool/package``, whole or not at all."""
    folder, part = pool / package, pool / f".{package}.part"
    if folder.is_dir():
        return
    deb = find_deb(debs, package)
    if deb is None:
        raise CorpusError(f"{debs}/{package}_*.deb: no such file; add --download to fetch it")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    done = subprocess.run(["dpkg", "-x", deb, part], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CorpusError(f"{deb}: dpkg cannot unpack it: {why}")
    unpack_containers(part)
    os.replace(part, folder)


def unpack_containers(folder: Path) -> None:
    """Open the two containers that packages hide their sounds in, where there are any."""
    if (folder / PK3).is_file():
        try:
            with zipfile.ZipFile(folder / PK3) as archive:
                archive.extractall(folder / "pk3")
        except zipfile.BadZipFile as error:
            raise CorpusError(f"{folder / PK3}: {error}") from None
    for cat in folder.rglob("opensfx.cat"):
        unpack_cat(cat, folder / "wav")


def unpack_cat(cat: Path, folder: Path) -> int:
    """Write the entries of an OpenTTD sound container as ``00.wav``, ``01.wav``, ...

    The file opens with pairs of little-endian uint32 (offset with a flag in bit 31, length); the
    first offset gives the number of pairs. An entry is one byte of name length, the name, and a
    RIFF WAVE.

    Returns:
        The number of files written.
    """
    data = cat.read_bytes()
    if len(data) < 8:
        raise CorpusError(f"{cat}: too short for a sound container")
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
    if not 0 < count * 8 <= len(data):
        raise CorpusError(f"{cat}: its table of entries is damaged")
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for index in range(count):
        offset, _ = struct.unpack_from("<II", data, index * 8)
        offset &= 0x7FFFFFFF
        riff = offset + 1 + data[offset] if offset < len(data) else offset
        if data[riff : riff + 4] != b"RIFF" or riff + 8 > len(data):
            continue  # the listing step will report it missing
        size = 8 + struct.unpack_from("<I", data, riff + 4)[0]
        (folder / f"{index:02d}.wav").write_bytes(data[riff : riff + size])
        written += 1
    return written


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
        hours = sum(clip.seconds for clip in good) / 3600
        print(f"{name}: {len(good)} clips, {hours:.2f} h, {len(clips) - len(good)} skipped")
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
    files, tests = take_packages(*read_manifest(args.manifest), args.packages)
    packages = sorted({row["package"] for row in files})
    if args.download:
        download(packages, args.debs)
    for package in packages:
        unpack(package, args.debs, args.pool)
    list_clips(args, files, tests)


def main(argv: list[str] | None = None) -> int:
    """Run the steps; returns the exit status."""
    return run_script(prepare, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
