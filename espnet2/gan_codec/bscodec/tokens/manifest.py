"""What is to be encoded: a list of utterances that may be far longer than memory, cut into shards.

A list is read line by line. What stays of it are 8 bytes a line while names are compared, and for
each shard where its lines begin and what their digest is.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.audio import SUFFIXES
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError

LIST = "wav.scp"  # in the folder of tokens, where the input is no such list itself
_ARK_ENTRY = re.compile(rb"\.ark:\d+$")
_NO_NAME = re.compile(r"[\s\x00-\x1f\x7f]")  # what ends a name for some reader of Kaldi's lists
MAX_NAME_BYTES = 4096
MAX_ENTRY_BYTES = 1 << 16  # csv reads no field of twice as many characters


@dataclass(frozen=True)
class Shard:
    """The lines of one shard.

    Attributes:
        number: counted from 1.
        offset: of the first line, in bytes.
        size: of all lines, in bytes.
        count: utterances.
        digest: SHA-256 of the lines.
    """

    number: int
    offset: int
    size: int
    count: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """A list that has been read through: every line is good, every name is there once."""

    path: Path
    shards: tuple[Shard, ...]
    shard_size: int

    @property
    def count(self) -> int:
        """Utterances altogether."""
        return sum(shard.count for shard in self.shards)


def read_lines(path: Path, shard: Shard) -> list[tuple[str, str]]:
    """Return (name, path or command) of the lines of a shard of a list.

    Raises:
        TokensError: the list has changed since it was read through.
    """
    with open(path, "rb") as file:
        file.seek(shard.offset)
        data = file.read(shard.size)
    if hashlib.sha256(data).hexdigest() != shard.digest:
        raise TokensError(f"{path}: has changed during the run")
    lines = (line.split(maxsplit=1) for line in data.split(b"\n") if line.strip())
    return [(name.decode(), os.fsdecode(entry.rstrip())) for name, entry in lines]


def open_manifest(
    source: Path, folder: Path, shard_size: int | None, allow_commands: bool = False
) -> Manifest:
    """Read the input through and plan the shards.

    Args:
        source: a ``.scp`` list of Kaldi ("name path" a line), a folder, of which all audio files
            are taken, or another text file with a path a line. The last two are written down as
            ``wav.scp`` in ``folder``; their names are paths without suffix, below the folder, or
            as they are without a leading "./" or "/". White space in a name becomes "_".
        folder: of the tokens.
        shard_size: utterances per shard; None: see ``default_shard_size``.
        allow_commands: take entries that end in "|" as well.

    Raises:
        TokensError: nothing in it, a name that comes twice, or a line that is not to be used.
        OSError: it cannot be read, or ``folder`` not be written to.
    """
    path = source
    if source.is_dir() or source.suffix != ".scp":
        entries = _walk(source) if source.is_dir() else _paths(source)
        path = folder / LIST
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            file.writelines(name + b" " + os.fsencode(entry) + b"\n" for name, entry in entries)
    with open(path, "rb") as file:
        size = shard_size or default_shard_size(sum(1 for line in file if line.strip()))
    with open(path, "rb") as file:
        shards, names = _plan(path, file, size, allow_commands)
    if not shards:
        raise TokensError(
            f"{source}: holds no audio" if source.is_dir() else f"{source}: is empty"
        )
    _refuse_duplicates(path, names)
    return Manifest(path, shards, size)


def default_shard_size(count: int) -> int:
    """Return a size that gives small lists a hundred shards, and large ones a thousand lines each.

    It depends on nothing but the list, so that any number of processes makes the same files.
    """
    return min(1000, max(10, -(-count // 100)))


def _plan(
    path: Path, lines: Iterable[bytes], size: int, allow_commands: bool
) -> tuple[tuple[Shard, ...], np.ndarray]:
    """Return the shards, and a 64-bit hash of every name."""
    shards: list[Shard] = []
    names = array("q")
    digest, count, start, end = hashlib.sha256(), 0, 0, 0
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=1)
        if words:
            if problem := _problem(words, allow_commands):
                raise TokensError(f"{path}: line {number}: {problem}")
            names.append(hash(words[0]))
            count += 1
        digest.update(line)
        end += len(line)
        if count == size:
            shards.append(Shard(len(shards) + 1, start, end - start, count, digest.hexdigest()))
            digest, count, start = hashlib.sha256(), 0, end
    if count:
        shards.append(Shard(len(shards) + 1, start, end - start, count, digest.hexdigest()))
    return tuple(shards), np.frombuffer(names, dtype=np.int64)


def _problem(words: list[bytes], allow_commands: bool) -> str | None:
    """Say what is wrong with a line's words; None: nothing."""
    if len(words) != 2:
        return "expected a name and a path"
    entry = words[1].rstrip()
    if len(entry) > MAX_ENTRY_BYTES:
        return f"what follows the name has more than {MAX_ENTRY_BYTES} bytes"
    if entry.endswith(b"|") and not allow_commands:
        return "holds a command: those are run with --allow-commands only"
    if _ARK_ENTRY.search(entry):
        return "audio within an archive is not read: extract it first"
    try:
        name = words[0].decode()
    except UnicodeDecodeError:
        return "the name is no UTF-8"
    if not is_name(name):
        return f"the name has more than {MAX_NAME_BYTES} bytes, or a control character or space"
    return None


def is_name(name: str) -> bool:
    """Whether an utterance may be called so: every reader of lists and archives has it alike."""
    return bool(name) and len(name.encode()) <= MAX_NAME_BYTES and not _NO_NAME.search(name)


def _refuse_duplicates(path: Path, hashes: np.ndarray) -> None:
    """Raise TokensError if a name comes twice; ``hashes`` are sorted in place: no second copy."""
    hashes.sort()
    suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not suspects:
        return
    seen: dict[bytes, int] = {}
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            name = line.split(maxsplit=1)[0] if line.strip() else b""
            if name and hash(name) in suspects:
                if name in seen:
                    raise TokensError(
                        f"{path}: {name.decode()} is there twice, in lines {seen[name]} and "
                        f"{number}"
                    )
                seen[name] = number


def _walk(folder: Path) -> Iterator[tuple[bytes, str]]:
    """Yield name and path of every audio file below ``folder``, in an order that stays."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(parent, file)
            if path.suffix.lower() in SUFFIXES and not file.startswith("."):
                if re.search(r"^\s|[\r\n]", str(path)):
                    raise TokensError(f"{path}: a path that no list can hold: rename it")
                yield _name_of(path.relative_to(folder)), str(path)


def _paths(source: Path) -> Iterator[tuple[bytes, str]]:
    """Yield name and path of every line of a list of paths."""
    with open(source, "rb") as file:
        for line in file:
            if line.strip():
                path = os.fsdecode(line.strip())
                yield _name_of(Path(path)), path


def _name_of(path: Path) -> bytes:
    name = path.with_suffix("").as_posix().removeprefix("./").lstrip("/")
    return os.fsencode(_NO_NAME.sub("_", name))
