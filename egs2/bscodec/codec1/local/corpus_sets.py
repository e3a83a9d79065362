"""The plain text tables of the recipe: lists of clips, Kaldi-style sets, and parallel work."""

from __future__ import annotations

import csv
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, fields
from multiprocessing import Pool
from pathlib import Path

from tqdm import tqdm

from espnet2.gan_codec.bscodec.format.tables import tsv_line

DOMAINS = ("speech", "sound", "music")


class CorpusError(Exception):
    """Bad input, reported in one line that names the file and what was expected."""


def run_script(work: Callable[[Namespace], object], args: Namespace) -> int:
    """Do a script's ``work``; print an error in one line; return the exit status."""
    try:
        work(args)
    except (CorpusError, OSError) as error:
        print(f"{Path(work.__code__.co_filename).name}: {error}", file=sys.stderr)
        return 1
    return 0


@dataclass(frozen=True)
class Clip:
    """A segment of one source file (or of two stems that sound together)."""

    path: str  # relative to the pool
    stem: str  # a second file summed onto the first, or ""
    domain: str
    source: str
    licence: str
    start: float  # seconds
    seconds: float


@dataclass(frozen=True)
class Utterance:
    """One line of a formatted set."""

    utt: str
    path: str  # absolute
    num_samples: int  # at 24 kHz
    domain: str
    source: str
    licence: str


def write_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    os.replace(part, path)


def write_table(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a tab-separated table with a header line, as Python's ``csv`` reads it."""
    write_text(path, (tsv_line(row)[:-1] for row in (tuple(header), *rows)))


def read_table(
    lines: Iterable[str], name: object, columns: Iterable[str], quoting: int = csv.QUOTE_MINIMAL
) -> list[dict]:
    """Read a tab-separated table and check that it has the named columns.

    Tables of others, in which a quote is a character like any, need ``csv.QUOTE_NONE``.
    """
    reader = csv.DictReader(lines, delimiter="\t", quoting=quoting)
    missing = [c for c in columns if c not in (reader.fieldnames or ())]
    if missing:
        raise CorpusError(f"{name}: column {missing[0]!r} is missing from its first line")
    rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            expected = len(reader.fieldnames)
            raise CorpusError(f"{name}: line {number}: expected {expected} fields")
    return rows


def write_clips(path: Path, clips: Iterable[Clip]) -> None:
    """Write a list of clips."""
    write_table(path, [f.name for f in fields(Clip)], map(astuple, clips))


def read_clips(path: Path) -> list[Clip]:
    """Read a list of clips.

    Raises:
        CorpusError: no such file, a missing column, or a bad number.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such list of clips; run open_corpus.py first")
    with path.open(encoding="utf-8", newline="") as file:
        rows = read_table(file, path, [f.name for f in fields(Clip)])
    try:
        return [
            Clip(**{**row, "start": float(row["start"]), "seconds": float(row["seconds"])})
            for row in rows
        ]
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{path}: bad line: {error}") from None


def write_set(folder: Path, utterances: Iterable[Utterance]) -> None:
    """Write wav.scp, utt2num_samples, utt2domain, utt2source, utt2licence and feats_type.

    ``wav.scp`` comes last, so that a set that has one is complete.
    """
    rows = sorted((asdict(u) for u in utterances), key=lambda row: row["utt"])
    names = {"utt2num_samples": "num_samples", "utt2domain": "domain"}
    names |= {"utt2source": "source", "utt2licence": "licence", "wav.scp": "path"}
    write_text(folder / "feats_type", ["raw"])
    for name, key in names.items():
        write_text(folder / name, [f"{row['utt']} {row[key]}" for row in rows])


def read_set(folder: Path) -> list[Utterance]:
    """Read back what :func:`write_set` wrote.

    Raises:
        CorpusError: a table is missing or the tables do not name the same utterances.
    """

    def table(name: str) -> dict[str, str]:
        path = folder / name
        if not path.is_file():
            raise CorpusError(f"{path}: no such file; run format_audio.py first")
        lines = path.read_text(encoding="utf-8").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    names = ("wav.scp", "utt2num_samples", "utt2domain", "utt2source", "utt2licence")
    tables = [table(name) for name in names]
    for name, other in zip(names, tables, strict=True):
        if other.keys() != tables[0].keys():
            raise CorpusError(f"{folder / name}: not the utterances of wav.scp")
    wavs, samples, *rest = tables
    return [Utterance(u, wavs[u], int(samples[u]), *(t[u] for t in rest)) for u in wavs]


def run_jobs(work: Callable, jobs: list, nj: int, label: str) -> Iterator:
    """Yield ``work(job)`` for every job, in order, on ``nj`` processes with a progress bar."""
    if nj <= 1:
        yield from tqdm(map(work, jobs), label, len(jobs))
        return
    with Pool(nj) as pool:
        yield from tqdm(pool.imap(work, jobs, chunksize=8), label, len(jobs))
