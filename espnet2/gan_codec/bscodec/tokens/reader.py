"""Read a folder of tokens: utterance by utterance, or one by its name."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.checked import integer, read_json
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.index import INDEX, META
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError, smallest_dtype
from espnet2.gan_codec.bscodec.tokens.shards import (
    data_path,
    file_digest,
    index_path,
    read_index,
)

_OPEN_SHARDS = 16
_MAX_META_BYTES = 1 << 20
_SHORTEST_LINE = len("a\t1\t0\t1\t1\n")  # of index.tsv
_LONGEST_LINE = 1 << 16


def read_tokens(folder: str | os.PathLike, verify: bool = True) -> Tokens:
    """Open a folder that ``bscodec tokenize`` has made.

    Args:
        folder: may have been moved since.
        verify: compare the digest of every shard when it is first opened.

    Raises:
        TokensError: not such a folder, not complete, or damaged.
        OSError: it cannot be read.
    """
    return Tokens(Path(folder), verify)


@dataclass(frozen=True)
class _Place:
    """A line of ``index.tsv``."""

    name: str
    shard: int
    offset: int
    frames: int
    samples: int


class Tokens(Mapping[str, np.ndarray]):
    """Codes by utterance: (F, N_bands) signed integers, the lowest band first.

    ``tokens.items()`` goes through the files in their order. ``tokens[name]`` first makes an
    index of 16 bytes per utterance in memory, then takes one line and one array from disk.

    Attributes:
        metadata: what all codes have in common: model, bands, rates.
    """

    def __init__(self, folder: Path, verify: bool = True) -> None:
        self.folder, self.verify = folder, verify
        path = folder / META
        try:
            meta = read_json(path, _MAX_META_BYTES)
            self.metadata = TokenMetadata.from_json(meta, str(path))
            self._count = integer(meta["utterances"])
        except FileNotFoundError as error:
            raise TokensError(
                f"{path}: is missing: no folder of tokens, or an unfinished one (run 'bscodec "
                "tokenize' again)"
            ) from error
        except TokensError:
            raise
        except KeyError as error:
            raise TokensError(f"{path}: damaged: {error} is missing") from error
        except ValueError as error:
            raise TokensError(f"{path}: damaged: {error}") from error
        self._dtype = smallest_dtype(self.metadata.codebook_sizes)
        self._files: OrderedDict[int, Any] = OrderedDict()
        self._verified: set[int] = set()
        self._process = os.getpid()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (place.name for place in self._places())

    def __getitem__(self, name: str) -> np.ndarray:
        """Return codes (F, N_bands). Raises KeyError, TokensError (damaged) or OSError."""
        return self._codes(self._find(name))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self._find(name)
        except (KeyError, AttributeError):
            return False
        return True

    def items(self) -> Iterator[tuple[str, np.ndarray]]:  # type: ignore[override]
        """Yield name and codes of every utterance, in the order of the list."""
        return ((place.name, self._codes(place)) for place in self._places())

    def values(self) -> Iterator[np.ndarray]:  # type: ignore[override]
        """Yield the codes of every utterance, in the order of the list."""
        return (codes for _, codes in self.items())

    def num_samples(self, name: str) -> int:
        """Return the length of an utterance's audio in samples at the model's rate."""
        return self._find(name).samples

    def encoded(self, name: str) -> EncodedAudio:
        """Return what ``Codec.decode`` turns back into audio, and ``save`` into a .bsc file.

        Raises:
            KeyError, TokensError, BitstreamError: no such utterance; damaged.
        """
        place = self._find(name)
        header = self.metadata.header(place.samples)
        return EncodedAudio(**vars(header), codes=self._codes(place).T)

    def close(self) -> None:
        """Close the shards that are open; reading opens them again."""
        while self._files:
            self._files.popitem()[1].close()
        if "_table" in self.__dict__:
            self.__dict__.pop("_table").close()

    def __getstate__(self) -> dict:
        """Leave out open files, so that a data loader can hand this to its processes."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("_by_hash", "_table")}
        return {**state, "_files": OrderedDict()}

    def _places(self) -> Iterator[_Place]:
        with self._open_index() as file:
            while line := file.readline(_LONGEST_LINE):
                yield self._place(line)

    def _place(self, line: bytes) -> _Place:
        try:
            name, *numbers = line.decode().rstrip("\n").split("\t")
            return _Place(name, *(integer(int(number)) for number in numbers))
        except (ValueError, TypeError) as error:
            raise TokensError(f"{self.folder / INDEX}: damaged") from error

    @cached_property
    def _table(self) -> BinaryIO:
        return self._open_index()

    def _open_index(self) -> BinaryIO:
        require_regular(self.folder / INDEX)
        return open(self.folder / INDEX, "rb")

    @cached_property
    def _by_hash(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of all names, sorted, and where the line of each begins in ``index.tsv``."""
        if self._count * _SHORTEST_LINE > os.stat(self.folder / INDEX).st_size:
            raise TokensError(f"{self.folder / INDEX}: not as {META} says")
        hashes = np.empty(self._count, dtype=np.int64)
        starts = np.empty(self._count, dtype=np.int64)
        begin = count = 0
        with self._open_index() as file:
            while line := file.readline(_LONGEST_LINE):
                count += 1
                if count > self._count:
                    break
                hashes[count - 1] = hash(line.partition(b"\t")[0])
                starts[count - 1] = begin
                begin += len(line)
        if count != self._count:
            raise TokensError(f"{self.folder / INDEX}: not as {META} says")
        order = np.argsort(hashes, kind="stable")
        return hashes[order], starts[order]

    def _find(self, name: str) -> _Place:
        self._close_inherited()
        hashes, starts = self._by_hash
        first, last = (
            np.searchsorted(hashes, hash(name.encode()), side) for side in ("left", "right")
        )
        for start in starts[first:last]:
            self._table.seek(int(start))
            place = self._place(self._table.readline(_LONGEST_LINE))
            if place.name == name:
                return place
        raise KeyError(name)

    def _codes(self, place: _Place) -> np.ndarray:
        file = self._open(place.shard)
        try:
            codes = FORMATS[self.metadata.format].read(file, place.offset, self.metadata)
        except ValueError as error:
            raise TokensError(f"{file.name}: damaged at {place.name}") from error
        shape = (place.frames, len(self.metadata.codebook_sizes))
        if codes.shape != shape or codes.dtype.kind != "i":
            raise TokensError(
                f"{file.name}: {place.name} has {codes.dtype} {codes.shape}, expected {shape}"
            )
        if ((codes < 0) | (codes >= self.metadata.codebook_sizes)).any():
            raise TokensError(f"{file.name}: {place.name} has codes that no codebook has")
        return codes.astype(self._dtype, copy=False)

    def _close_inherited(self) -> None:
        """After a fork: files that are shared with another process have one position for both."""
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()

    def _open(self, number: int) -> Any:
        self._close_inherited()
        if number in self._files:
            self._files.move_to_end(number)
            return self._files[number]
        path = data_path(self.folder, number, self.metadata.format)
        require_regular(path)
        if self.verify and number not in self._verified:
            if file_digest(path) != read_index(index_path(self.folder, number)).data:
                raise TokensError(f"{path}: damaged: not the codes that were written")
            self._verified.add(number)
        self._files[number] = FORMATS[self.metadata.format].open(path)
        if len(self._files) > _OPEN_SHARDS:
            self._files.popitem(last=False)[1].close()
        return self._files[number]
