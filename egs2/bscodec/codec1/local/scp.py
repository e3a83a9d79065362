"""Kaldi-style tables of any recipe: wav.scp, segments, utt2*."""

from __future__ import annotations

import io
import subprocess
from functools import lru_cache
from pathlib import Path

import soundfile as sf
from corpus_sets import CorpusError


def read_scp(path: Path) -> dict[str, str]:
    """Read a table of ``key value...`` lines.

    Raises:
        CorpusError: no such file, a line without a value, or a key that comes twice.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file")
    table = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split(maxsplit=1)
        if len(words) != 2:
            raise CorpusError(f"{path}: line {number}: expected a key and a value")
        if words[0] in table:
            raise CorpusError(f"{path}: line {number}: {words[0]} comes twice")
        table[words[0]] = words[1].strip()
    return table


def read_counts(path: Path) -> dict[str, int]:
    """Read a table of ``key number`` lines, e.g. ``utt2num_samples``."""
    table = read_scp(path)
    try:
        return {key: int(value) for key, value in table.items()}
    except ValueError as error:
        raise CorpusError(f"{path}: expected whole numbers: {error}") from None


def is_pipe(entry: str) -> bool:
    """Whether an entry of wav.scp is a command whose output is the audio."""
    return entry.endswith("|")


@lru_cache(maxsize=1)  # the segments of a recording follow one another
def _piped(entry: str) -> bytes:
    command = entry.rstrip("|")  # Kaldi's: the list is the recipe's own
    done = subprocess.run(command, shell=True, capture_output=True, check=False)  # nosec B602
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ValueError(f"unreadable: its command fails: {reason[-1]}")
    return done.stdout


def open_audio(entry: str) -> sf.SoundFile:
    """Open an entry of wav.scp: a file, or a command ending in ``|``.

    Raises:
        ValueError: it is missing or no audio.
    """
    if is_pipe(entry):
        source = io.BytesIO(_piped(entry))
    elif not Path(entry).is_file():
        raise ValueError("missing")
    else:
        source = entry
    try:
        return sf.SoundFile(source)
    except (sf.SoundFileError, OSError) as error:
        raise ValueError(f"unreadable: {error}") from None
