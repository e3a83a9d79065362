"""The ``.bsc`` file: band-split codes, tightly packed, in blocks that carry a checksum each.

The layout is documented byte by byte in ``docs/bitstream.md``. Nothing here knows the model or
needs torch: codes are NumPy arrays, and a file is written and read block by block, so that memory
does not grow with its length.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from espnet2.gan_codec.bscodec.format.atomic import create_temporary
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.format.header import (
    CRC_BYTES,
    MAX_HEADER_BYTES,
    BitstreamError,
    BscHeader,
    check,
    pack_header,
    unpack_header,
)


@dataclass(frozen=True, eq=False)
class EncodedAudio(BscHeader):
    """Audio as codes: a header and ``codes`` (num_bands, num_frames) int64.

    With several channels codes are (num_channels, num_bands, num_frames).

    Raises:
        BitstreamError: codes of another shape than the header's, or outside of their codebook.
    """

    codes: np.ndarray

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.num_samples >= 1, "num_samples", self.num_samples)
        codes = _checked_codes(self, self.codes)
        if codes.shape[-1] != self.num_frames:
            raise BitstreamError(
                f"{codes.shape[-1]} frames of codes for {self.num_samples} samples: expected "
                f"{self.num_frames} frames of {self.hop_length} samples"
            )
        object.__setattr__(self, "codes", codes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EncodedAudio):
            return NotImplemented
        return self.header == other.header and np.array_equal(self.codes, other.codes)

    @property
    def header(self) -> BscHeader:
        return BscHeader(**{field.name: getattr(self, field.name) for field in fields(BscHeader)})

    def lowest(self, num_bands: int) -> "EncodedAudio":
        """Keep only the lowest ``num_bands`` bands; the others' bits are simply left out."""
        check(1 <= num_bands <= self.num_bands, "num_bands", num_bands)
        return replace(
            self,
            bands=self.bands[:num_bands],
            codebook_sizes=self.codebook_sizes[:num_bands],
            codes=self.codes[..., :num_bands, :],
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write a ``.bsc`` file, whole or not at all. Raises OSError when the disk is full."""
        with BscWriter(path, self.header) as writer:
            writer.append(self.codes)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "EncodedAudio":
        """Read a ``.bsc`` file. Raises BitstreamError (damaged, foreign) or OSError."""
        with BscReader(path) as reader:
            return cls._read(reader)

    def dumps(self) -> bytes:
        """Return the bytes that ``save`` writes."""
        parts = [pack_header(self)]
        for index in range(self.num_blocks):
            start = index * self.frames_per_block
            block = self.codes[..., start : start + self.frames_per_block]
            parts.append(_pack_block(self, index, block))
        return b"".join(parts)

    @classmethod
    def loads(cls, data: bytes) -> "EncodedAudio":
        """Read the bytes of a ``.bsc`` file. Raises BitstreamError."""
        with BscReader(io.BytesIO(data)) as reader:
            return cls._read(reader)

    @classmethod
    def _read(cls, reader: "BscReader") -> "EncodedAudio":
        values = {field.name: getattr(reader.header, field.name) for field in fields(BscHeader)}
        return cls(**values, codes=np.concatenate(list(reader), axis=-1))


class BscWriter:
    """Write a ``.bsc`` file from chunks of codes of any number of frames.

    Used as a context manager: the file appears under its name when the ``with`` block ends well,
    and leaves nothing behind when it does not. ``num_samples`` of the header may be 0 while it is
    not known; ``close(num_samples)`` then puts in the length (and the original one, where the
    header keeps the original rate).
    """

    def __init__(self, path: str | os.PathLike, header: BscHeader) -> None:
        self.path = Path(path)
        self.header = header
        self._pending = np.zeros((*header.codes_shape, 0), dtype=np.int64)
        self._num_blocks = 0
        self._is_done = False
        self._file = create_temporary(self.path)
        self._temporary = Path(self._file.name)
        try:
            self._file.write(pack_header(header))
        except BaseException:
            self.abort()
            raise

    def append(self, codes: np.ndarray) -> None:
        """Add the next frames, of any integer type.

        Args:
            codes: (num_bands, any number of frames), or (num_channels, num_bands, ...).
        """
        codes = _checked_codes(self.header, codes)
        self._pending = np.concatenate([self._pending, codes], axis=-1)
        size = self.header.frames_per_block
        while self._pending.shape[-1] >= size:
            self._write_block(self._pending[..., :size])
            self._pending = self._pending[..., size:]

    def close(self, num_samples: int | None = None, original_samples: int = 0) -> None:
        """Finish the file.

        Raises:
            BitstreamError: the number of frames does not belong to ``num_samples``.
            OSError: the disk is full.
        """
        try:
            header = self.header
            if num_samples is not None:
                header = self.header = replace(
                    header, num_samples=num_samples, original_samples=original_samples
                )
            frames = self._num_blocks * header.frames_per_block + self._pending.shape[-1]
            if header.num_samples < 1 or frames != header.num_frames:
                raise BitstreamError(
                    f"{self.path}: {frames} frames were written for {header.num_samples} samples"
                )
            if self._pending.shape[-1]:
                self._write_block(self._pending)
            self._file.seek(0)
            self._file.write(pack_header(header))
            self._file.flush()
            os.replace(self._temporary, self.path)
            self._is_done = True
            self._file.close()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Forget the file: nothing of it stays on disk."""
        if not self._is_done:
            self._is_done = True
            self._temporary.unlink(missing_ok=True)
            try:
                self._file.close()
            except OSError:
                pass  # the flush of a file that is gone already; the first error is the one to see

    def __enter__(self) -> "BscWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: TracebackType | None):
        if kind is not None:
            self.abort()
        elif not self._is_done:
            self.close()

    def _write_block(self, codes: np.ndarray) -> None:
        self._file.write(_pack_block(self.header, self._num_blocks, codes))
        self._num_blocks += 1


class BscReader:
    """Read a ``.bsc`` file: ``header`` first, then iterate over blocks of codes.

    Every block is (num_bands, frames) int64, or (num_channels, num_bands, frames) of several
    channels, at most ten seconds of frames, and checked before it is given out. Size and header
    are checked at once, so a foreign or cut file raises here.

    Args:
        source: a path, or a file that can be sought in.
        name: what errors call a file without a path.
        any_size: take a file that is cut short or has more than its header says, too.

    Raises:
        BitstreamError: one line that names the file and what is wrong with it.
        OSError: the file cannot be read, or is a pipe or device.
    """

    def __init__(
        self,
        source: str | os.PathLike | BinaryIO,
        name: str | None = None,
        any_size: bool = False,
    ) -> None:
        if isinstance(source, (str, os.PathLike)):
            self.name = os.fspath(source)
            require_regular(source)
            self._file: BinaryIO = open(source, "rb")
        else:
            self.name = name or getattr(source, "name", "bitstream")
            self._file = source
        try:
            self.file_bytes = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            self.header, self._start = unpack_header(self._file.read(MAX_HEADER_BYTES), self.name)
            if self.header.num_samples < 1:
                raise BitstreamError(
                    f"{self.name}: the file holds no audio (it was never finished)"
                )
            if self.wrong_size and not any_size:
                raise BitstreamError(f"{self.name}: {self.wrong_size}")
        except BaseException:
            self._file.close()
            raise

    def read_block(self, index: int) -> np.ndarray:
        """Return the codes of block ``index``, counted from 0, as iteration gives them."""
        header = self.header
        if not 0 <= index < header.num_blocks:
            raise IndexError(f"{self.name}: no block {index}: there are {header.num_blocks}")
        frames = header.frames_of_block(index)
        self._file.seek(self._start + index * header.block_bytes(header.frames_per_block))
        data = self._file.read(header.block_bytes(frames))
        payload, stored = data[:-CRC_BYTES], data[-CRC_BYTES:]
        if len(data) == header.block_bytes(frames) and stored == _block_crc(index, payload):
            rows = _unpack_codes(header.bits * header.num_channels, payload, frames)
            if rows is not None:
                codes = rows.reshape(*header.codes_shape, frames)
                if (codes < np.c_[list(header.codebook_sizes)]).all():
                    return codes
        where = f"block {index + 1} of {header.num_blocks} {self.times(index, index)}"
        raise BitstreamError(f"{self.name}: {where} is damaged")

    @property
    def missing_bytes(self) -> int:
        """What the file lacks of the size that its header says; negative: it has more."""
        return self._start + self.header.blocks_bytes - self.file_bytes

    @property
    def wrong_size(self) -> str:
        """What is wrong with the size of the file; empty: nothing."""
        if self.missing_bytes > 0:
            expected = self.file_bytes + self.missing_bytes
            return f"the file is cut short: {self.file_bytes} of {expected} bytes"
        more = -self.missing_bytes
        return f"{more} bytes too many after the last block" if more else ""

    @property
    def num_blocks_there(self) -> int:
        """Blocks that are there to their last byte."""
        if self.missing_bytes <= 0:
            return self.header.num_blocks
        size = self.header.block_bytes(self.header.frames_per_block)
        return (self.file_bytes - self._start) // size

    def times(self, first: int, last: int) -> str:
        """Return when the blocks from ``first`` to ``last`` begin and end, for a message."""
        seconds = self.header.frames_per_block * self.header.hop_length / self.header.sampling_rate
        end = min((last + 1) * seconds, self.header.duration)
        return f"({first * seconds:.1f}-{end:.1f} s)"

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read_block(index) for index in range(self.header.num_blocks))

    def __enter__(self) -> "BscReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()


def _checked_codes(header: BscHeader, codes: np.ndarray) -> np.ndarray:
    """Return codes (*codes_shape, frames) as int64 after checking shape, type and range."""
    codes = np.asarray(codes)
    shape = header.codes_shape
    if not codes.ndim or codes.shape[:-1] != shape or codes.dtype.kind not in "iu":
        raise BitstreamError(
            f"codes are {codes.dtype} {codes.shape}: "
            f"expected integers ({', '.join(map(str, shape))}, frames)"
        )
    codes = codes.astype(np.int64)
    for band, size in enumerate(header.codebook_sizes):
        rows = codes[..., band, :]
        if rows.size and not (rows.min() >= 0 and rows.max() < size):
            raise BitstreamError(f"codes of band {band} leave their codebook of {size} entries")
    return codes


def _pack_codes(bits: tuple[int, ...], codes: np.ndarray) -> bytes:
    """Pack codes (num_bands, frames) frame by frame, lowest band first, high bit first."""
    columns = [
        (row[:, None] >> np.arange(b)[::-1]) & 1 for b, row in zip(bits, codes, strict=True)
    ]
    return np.packbits(np.concatenate(columns, axis=1).astype(np.uint8)).tobytes()


def _unpack_codes(bits: tuple[int, ...], payload: bytes, frames: int) -> np.ndarray | None:
    """Undo ``_pack_codes``; None when the padding bits of the last byte are not zero."""
    stream = np.unpackbits(np.frombuffer(payload, dtype=np.uint8))
    used = frames * sum(bits)
    if stream[used:].any():
        return None
    columns = np.split(stream[:used].reshape(frames, sum(bits)), np.cumsum(bits)[:-1], axis=1)
    return np.stack([column @ (1 << np.arange(column.shape[1])[::-1]) for column in columns])


def _block_crc(index: int, payload: bytes) -> bytes:
    """CRC-32 over the block's number and payload, so that blocks cannot change places either."""
    return struct.pack("<I", zlib.crc32(payload, zlib.crc32(struct.pack("<I", index))))


def _pack_block(header: BscHeader, index: int, codes: np.ndarray) -> bytes:
    rows = codes.reshape(-1, codes.shape[-1])  # channel after channel
    payload = _pack_codes(header.bits * header.num_channels, rows)
    return payload + _block_crc(index, payload)
