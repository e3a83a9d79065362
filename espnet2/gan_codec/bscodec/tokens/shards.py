"""One shard on disk: its codes, and beside them an index that is written last.

A shard is complete when its index is there and both belong together and to the run: same metadata,
same lines of the list, same bytes. Whatever is not so is made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.checked import integer, items, mapping, read_json, text
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.manifest import Shard, is_name
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError
from espnet2.gan_codec.bscodec.tokens.read_ahead import read_ahead

FOLDER = "shards"
MISSING = "missing"
_INDEX_NAME = re.compile(r"codes\.(\d+)\.json")
_READ_BYTES = 1 << 20
DIGEST_THREADS = 8
MAX_INDEX_BYTES = 1 << 26  # reading it costs some twenty times as much


class IncompleteError(TokensError):
    """A shard that has to be made, or made again; ``reason`` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Row:
    """One utterance of a shard.

    Attributes:
        name: of the utterance.
        offset: where in the shard its codes are read, in bytes, or of Parquet in rows.
        frames: of codes.
        samples: of its audio at the model's rate.
    """

    name: str
    offset: int
    frames: int
    samples: int


@dataclass(frozen=True)
class Skipped:
    """An utterance that could not be encoded, and why."""

    name: str
    path: str
    reason: str


@dataclass(frozen=True)
class ShardIndex:
    """What is known of a complete shard.

    Attributes:
        metadata: of its codes.
        lines: SHA-256 of its lines of the list.
        data: SHA-256 of its file of codes.
        rows: of its utterances, in the order of the list.
        skipped: of its lines, those without codes.
    """

    metadata: TokenMetadata
    lines: str
    data: str
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]

    @property
    def count(self) -> int:
        """Lines of the list, skipped ones included."""
        return len(self.rows) + len(self.skipped)


def data_path(folder: Path, number: int, form: str) -> Path:
    """Return the path of a shard's codes."""
    return folder / FOLDER / f"codes.{number:05d}{FORMATS[form].suffix}"


def index_path(folder: Path, number: int) -> Path:
    """Return the path of a shard's index."""
    return folder / FOLDER / f"codes.{number:05d}.json"


def index_paths(folder: Path) -> list[tuple[int, Path]]:
    """Return number and path of every index that is there."""
    found = ((_INDEX_NAME.fullmatch(path.name), path) for path in (folder / FOLDER).glob("*.json"))
    return sorted((int(match[1]), path) for match, path in found if match)


class ShardWriter:
    """What ``write_shard`` gives: ``add`` codes, ``skip`` what has none."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.rows: list[Row] = []
        self.skipped: list[Skipped] = []

    def add(self, name: str, codes: np.ndarray, samples: int) -> None:
        """Append the codes (N, F) of ``samples`` samples at the model's rate."""
        offset = self._writer.add(name, codes.T, samples)
        self.rows.append(Row(name, offset, codes.shape[1], samples))

    def skip(self, name: str, path: str, reason: str) -> None:
        """Note an utterance that has no codes."""
        self.skipped.append(Skipped(name, path, reason))


@contextmanager
def write_shard(folder: Path, shard: Shard, metadata: TokenMetadata) -> Iterator[ShardWriter]:
    """Write a shard; it is there once the ``with`` block has ended well.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; nothing is left.
        TokensError: so many utterances that no index of them could be read.
    """
    path = data_path(folder, shard.number, metadata.format)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        with (
            open(temporary, "wb") as file,
            FORMATS[metadata.format].writer(file, metadata) as writer,
        ):
            output = ShardWriter(writer)
            yield output
        data = file_digest(temporary)
    index = ShardIndex(metadata, shard.digest, data, tuple(output.rows), tuple(output.skipped))
    contents = _dump(index).encode()
    if len(contents) > MAX_INDEX_BYTES:
        raise TokensError(f"{path}: too many utterances for a shard: give a smaller --shard-size")
    with atomic_write(index_path(folder, shard.number)) as temporary:
        temporary.write_bytes(contents)


def read_index(path: Path) -> ShardIndex:
    """Read the index of a shard. Raises TokensError (damaged, another version) or OSError."""
    try:
        values = read_json(path, MAX_INDEX_BYTES)
        check = values.pop("check")
        if check != _check(values):
            raise ValueError("its check is another")
        return ShardIndex(
            TokenMetadata.from_json(mapping(values["facts"]), str(path)),
            text(values["lines"]),
            text(values["data"]),
            tuple(_row(*items(row, 4)) for row in items(values["rows"])),
            tuple(Skipped(*map(text, items(entry, 3))) for entry in items(values["skipped"])),
        )
    except TokensError:
        raise
    except (ValueError, KeyError, RecursionError) as error:
        raise TokensError(f"{path}: damaged") from error


def _row(name: Any, offset: Any, frames: Any, samples: Any) -> Row:
    if not is_name(text(name)):
        raise ValueError("a name that no list has")
    return Row(name, integer(offset), integer(frames), integer(samples))


def open_finished(
    folder: Path, shard: Shard, metadata: TokenMetadata, digest: Callable[[], str] | None
) -> ShardIndex:
    """Return the index of a shard that is complete and right.

    Args:
        folder: of the tokens.
        shard: the lines that it should hold.
        metadata: that its codes should have.
        digest: gives that of its codes, as ``with_digests`` has it; None: it is not compared.

    Raises:
        IncompleteError: it has to be made.
        IsADirectoryError: it cannot be made, since a folder is in its place.
    """
    path = data_path(folder, shard.number, metadata.format)
    try:
        index = read_index(index_path(folder, shard.number))
        if index.lines != shard.digest or metadata.difference(index.metadata):
            raise IncompleteError(path, "made of other lines, or by another model")
        require_regular(path)
        if digest and digest() != index.data:
            raise IncompleteError(path, "damaged")
    except FileNotFoundError as error:
        reason = "damaged" if index_path(folder, shard.number).exists() else MISSING
        raise IncompleteError(path, reason) from error
    except IsADirectoryError:
        raise
    except OSError as error:
        raise IncompleteError(path, f"cannot be read: {error.strerror}") from error
    except TokensError as error:
        if isinstance(error, IncompleteError):
            raise
        raise IncompleteError(path, "its index is damaged") from error
    return index


def with_digests(
    folder: Path, shards: Sequence[Shard], form: str, wanted: bool = True
) -> Iterator[tuple[Shard, Callable[[], str] | None]]:
    """Yield each shard with what gives the digest of its codes: threads read them ahead.

    What is given raises what ``file_digest`` does. If digests are not wanted, it is None.
    """
    if not wanted:
        yield from ((shard, None) for shard in shards)
        return

    def digest(shard: Shard) -> str:
        return file_digest(data_path(folder, shard.number, form))

    for shard, future in zip(shards, read_ahead(digest, shards, DIGEST_THREADS), strict=True):
        yield shard, future.result


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a regular file, as 64 hex digits. Raises OSError."""
    require_regular(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _dump(index: ShardIndex) -> str:
    values = {
        "facts": index.metadata.to_json(),
        "lines": index.lines,
        "data": index.data,
        "rows": [[row.name, row.offset, row.frames, row.samples] for row in index.rows],
        "skipped": [[entry.name, entry.path, entry.reason] for entry in index.skipped],
    }
    return json.dumps({"check": _check(values), **values}) + "\n"


def _check(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
