"""What is to be scored: utterances by name, from a wav.scp or a folder, and their domains."""

import os
import re
from pathlib import Path

from espnet2.gan_codec.bscodec.format.audio import SUFFIXES
from espnet2.gan_codec.scoring.metrics.catalogue import DOMAINS
from espnet2.gan_codec.scoring.metrics.metric import ScoringError

AUTO = "auto"


def read_utterances(source: Path) -> dict[str, Path]:
    """Return audio files by name.

    Args:
        source: a Kaldi list ("name path" a line; relative paths begin at the current folder), or
            a folder, of which all audio files are taken, named by their path without suffix.

    Raises:
        ScoringError: nothing in it, a name twice, or a line that is not "name path".
        OSError: it cannot be read.
    """
    pairs = _walk(source) if source.is_dir() else read_list(source)
    utterances: dict[str, Path] = {}
    for name, path in pairs:
        if name in utterances:
            raise ScoringError(f"{source}: {name} is there twice: {utterances[name]} and {path}")
        utterances[name] = path
    if not utterances:
        raise ScoringError(f"{source}: holds no audio")
    return utterances


def read_list(source: Path) -> list[tuple[str, Path]]:
    """Read "name path" lines. Raises ScoringError for another line, OSError as of open."""
    entries = []
    with open(source, encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            words = line.strip().split(maxsplit=1)
            if len(words) != 2 or words[1].endswith("|") or re.search(r"\.ark:\d+$", words[1]):
                raise ScoringError(f"{source}: line {number}: expected a name and a file's path")
            entries.append((words[0], Path(words[1])))
    return entries


def _walk(folder: Path) -> list[tuple[str, Path]]:
    found = [
        Path(parent, file)
        for parent, _, files in os.walk(folder)
        for file in files
        if Path(file).suffix.lower() in SUFFIXES and not file.startswith(".")
    ]
    return [(p.relative_to(folder).with_suffix("").as_posix(), p) for p in sorted(found)]


def domain_of(name: str, source: Path, domain: str) -> str:
    """Return the domain of an utterance: the given one, or for ``auto`` what its name says.

    The utterance's own name decides if one of its parts (between ``_``, ``-``, ``/`` and the
    like) is a domain; else the last such part of the path it was listed in, as in
    ``dump/raw/test_speech/wav.scp``.

    Raises:
        ScoringError: neither says.
    """
    if domain != AUTO:
        return domain
    for text in (name, *reversed(source.absolute().parts)):
        said = [part for part in re.split(r"[^a-z]+", text.lower()) if part in DOMAINS]
        if said:
            return said[0]
    raise ScoringError(
        f"neither the name {name} nor {source} says {', '.join(DOMAINS[:-1])} or {DOMAINS[-1]}: "
        "give --domain"
    )
