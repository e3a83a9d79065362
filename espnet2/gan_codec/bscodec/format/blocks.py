"""Blocks of codes in a ``.bsc`` file: their bytes, and where they lie (``docs/bitstream.md``)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from espnet2.gan_codec.bscodec.format.cursor import Cursor, Damage, pack_varint
from espnet2.gan_codec.bscodec.format.header import CRC_BYTES, BscHeader

MOST_SAVED = 256  # a block is never coded to less than this part of its plain size
_MAX_PREFIX = 10  # bytes of two varints, more than any block's
_WINDOW = 1 << 16  # bytes in which a damaged file is searched at once


class BlockCoder(Protocol):
    """An entropy coder, which the format is handed: it knows none itself."""

    fingerprint: str  # of what it predicts by, 8 hex digits

    def encode(self, codes: np.ndarray) -> bytes:
        """Codes (channels, bands, frames) of a block to bytes."""
        ...

    def decode(
        self, payloads: Sequence[bytes], num_frames: Sequence[int], channels: int, num_bands: int
    ) -> list[np.ndarray | None]:
        """Blocks, none with more frames than the one before, to codes; None: damaged."""
        ...


FindCoder = Callable[[BscHeader, str], BlockCoder]  # by the header, and what to call its file


class Span(NamedTuple):
    """Where a block's payload lies in the file; its checksum follows."""

    start: int
    size: int


class PlainLayout:
    """Blocks of versions 1 and 2, whose sizes follow from the header.

    Attributes:
        num_there: blocks that are there to their last byte.
        wrong_size: what is wrong with the size of the file; empty: nothing.
    """

    def __init__(self, header: BscHeader, start: int, file_bytes: int) -> None:
        self._header, self._start = header, start
        missing = start + header.blocks_bytes - file_bytes
        self.num_there, self.wrong_size = header.num_blocks, ""
        if missing > 0:
            self.num_there = (file_bytes - start) // header.block_bytes(header.frames_per_block)
            self.wrong_size = (
                f"the file is cut short: {file_bytes} of {file_bytes + missing} bytes"
            )
        elif missing < 0:
            self.wrong_size = _too_many(-missing)

    def span(self, index: int) -> Span:
        """Return where a block lies."""
        size = self._header.block_bytes(self._header.frames_per_block)
        payload = self._header.payload_bytes(self._header.frames_of_block(index))
        return Span(self._start + index * size, payload)


class CodedLayout:
    """Blocks of version 3, each with its number and size in front; attributes as of the plain.

    Args:
        search: look for undamaged blocks byte by byte where they are not in their place.
    """

    def __init__(
        self, file: BinaryIO, header: BscHeader, start: int, file_bytes: int, search: bool
    ) -> None:
        self._header = header
        self._spans: dict[int, Span] = {}
        find = self._searched if search else self._chained
        end = start
        for index, span in find(_Window(file, file_bytes), start):
            self._spans[index] = span
            end = span.start + span.size + CRC_BYTES
        self.num_there = max(self._spans, default=-1) + 1
        self.wrong_size = ""
        if self.num_there < header.num_blocks:
            self.wrong_size = f"the file is cut short or damaged after {file_bytes} bytes"
            if not search:
                where = f"block {self.num_there + 1} of {header.num_blocks}"
                self.wrong_size = f"the file is cut short or damaged at {where}"
        elif end < file_bytes:
            self.wrong_size = _too_many(file_bytes - end)

    def span(self, index: int) -> Span | None:
        """Return where a block lies; None where it was not found."""
        return self._spans.get(index)

    def _chained(self, window: _Window, position: int) -> Iterator[tuple[int, Span]]:
        """Every block where the one before it ends, without a look at checksums."""
        for index in range(self._header.num_blocks):
            found = self._prefix(window, position)
            if found is None or found[0] != index:
                return
            yield found
            position = found[1].start + found[1].size + CRC_BYTES

    def _searched(self, window: _Window, position: int) -> Iterator[tuple[int, Span]]:
        """Every undamaged block, in their order, wherever it is."""
        expected = 0
        while expected < self._header.num_blocks and position < window.end:
            found = self._prefix(window, position)
            if found is not None and found[0] >= expected:
                index, span = found
                data = window.read(span.start, span.size + CRC_BYTES)
                if data[-CRC_BYTES:] == block_crc(index, data[:-CRC_BYTES]):
                    yield found
                    expected = index + 1
                    position = span.start + span.size + CRC_BYTES
                    continue
            position += 1

    def _prefix(self, window: _Window, position: int) -> tuple[int, Span] | None:
        """The number and place of the block that begins at ``position``; None: none does."""
        cursor = Cursor(window.read(position, _MAX_PREFIX), 0)
        try:
            index, size = cursor.varint(), cursor.varint()
        except (EOFError, Damage):
            return None
        shortest = pack_varint(index) + pack_varint(size)
        if index >= self._header.num_blocks or len(shortest) != cursor.position:
            return None
        plain = self._header.payload_bytes(self._header.frames_of_block(index))
        start = position + cursor.position
        if size != plain and not is_coded_size(size, plain):
            return None
        return (index, Span(start, size)) if start + size + CRC_BYTES <= window.end else None


class _Window:
    """A file of which the part around the last read is in memory."""

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file, self.end = file, file_bytes
        self._start, self._data = 0, b""

    def read(self, position: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end of the file."""
        offset = position - self._start
        if not 0 <= offset <= len(self._data) - size:
            self._file.seek(position)
            self._start, self._data = position, self._file.read(max(size, _WINDOW))
            offset = 0
        return self._data[offset : offset + size]


def is_coded_size(size: int, plain: int) -> bool:
    """Whether a payload of ``size`` bytes is entropy-coded where the plain one has ``plain``."""
    return plain <= size * MOST_SAVED and size < plain


def _too_many(more: int) -> str:
    return f"{more} bytes too many after the last block"


def block_crc(index: int, payload: bytes) -> bytes:
    """CRC-32 over the block's number and payload, so that blocks cannot change places either."""
    return struct.pack("<I", zlib.crc32(payload, zlib.crc32(struct.pack("<I", index))))


def pack_block(
    header: BscHeader, index: int, codes: np.ndarray, coder: BlockCoder | None
) -> bytes:
    """Return a block of codes (*codes_shape, frames), coded where there is a coder and it pays."""
    rows = codes.reshape(-1, codes.shape[-1])  # channel after channel
    payload = pack_codes(header.bits * header.num_channels, rows)
    prefix = b""
    if coder is not None:
        payload = coded_payload(header, codes, coder, len(payload)) or payload
        prefix = pack_varint(index) + pack_varint(len(payload))
    return prefix + payload + block_crc(index, payload)


def coded_payload(
    header: BscHeader, codes: np.ndarray, coder: BlockCoder, plain: int
) -> bytes | None:
    """Return codes (*codes_shape, frames) coded; None where they are to be stored plainly."""
    coded = coder.encode(codes.reshape(header.num_channels, header.num_bands, -1))
    return coded if is_coded_size(len(coded), plain) else None


def pack_codes(bits: tuple[int, ...], codes: np.ndarray) -> bytes:
    """Pack codes (num_bands, frames) frame by frame, lowest band first, high bit first."""
    columns = [
        (row[:, None] >> np.arange(b)[::-1]) & 1 for b, row in zip(bits, codes, strict=True)
    ]
    return np.packbits(np.concatenate(columns, axis=1).astype(np.uint8)).tobytes()


def unpack_block(header: BscHeader, payload: bytes, num_frames: int) -> np.ndarray | None:
    """Return the codes (*codes_shape, frames) of a plain payload; None: no writer's."""
    rows = _unpack_codes(header.bits * header.num_channels, payload, num_frames)
    if rows is None:
        return None
    codes = rows.reshape(*header.codes_shape, num_frames)
    return codes if (codes < np.c_[list(header.codebook_sizes)]).all() else None


def _unpack_codes(bits: tuple[int, ...], payload: bytes, frames: int) -> np.ndarray | None:
    """Undo ``pack_codes``; None when the padding bits of the last byte are not zero."""
    stream = np.unpackbits(np.frombuffer(payload, dtype=np.uint8))
    used = frames * sum(bits)
    if stream[used:].any():
        return None
    columns = np.split(stream[:used].reshape(frames, sum(bits)), np.cumsum(bits)[:-1], axis=1)
    return np.stack([column @ (1 << np.arange(column.shape[1])[::-1]) for column in columns])
