"""The ``.bsc`` file: band-split codes, tightly packed, in blocks that carry a checksum each.

The layout is documented byte by byte in ``docs/bitstream.md``. Nothing here knows the model or
needs torch: codes are NumPy arrays, and a file is written and read block by block, so that memory
does not grow with its length.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import BinaryIO

import numpy as np

from espnet2.gan_codec.bscodec.format.blocks import (
    BlockCoder,
    CodedLayout,
    FindCoder,
    PlainLayout,
    block_crc,
    coded_payload,
    is_coded_size,
    pack_block,
    unpack_block,
)
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.format.header import (
    CRC_BYTES,
    MAX_CODED_CODES,
    BitstreamError,
    BscHeader,
    check,
)
from espnet2.gan_codec.bscodec.format.header_bytes import (
    MAX_HEADER_BYTES,
    pack_header,
    unpack_header,
)
from espnet2.gan_codec.bscodec.format.writer import BscWriter, checked_codes, coded_by

ROWS_AT_ONCE = 32  # blocks times channels that are decoded together


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
        codes = checked_codes(self, self.codes)
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

    def save(self, path: str | os.PathLike, coder: BlockCoder | None = None) -> None:
        """Write a ``.bsc`` file, whole or not at all, entropy-coded where a coder is given.

        Raises OSError when the disk is full.
        """
        with BscWriter(path, self.header, coder) as writer:
            writer.append(self.codes)

    @classmethod
    def load(cls, path: str | os.PathLike, find_coder: FindCoder | None = None) -> "EncodedAudio":
        """Read a ``.bsc`` file. Raises BitstreamError (damaged, foreign) or OSError."""
        with BscReader(path, find_coder=find_coder) as reader:
            return cls._read(reader)

    def dumps(self, coder: BlockCoder | None = None) -> bytes:
        """Return the bytes that ``save`` writes."""
        header = coded_by(self.header, coder)
        parts = [pack_header(header)]
        for index in range(self.num_blocks):
            start = index * self.frames_per_block
            block = self.codes[..., start : start + self.frames_per_block]
            parts.append(pack_block(header, index, block, coder))
        return b"".join(parts)

    @classmethod
    def loads(cls, data: bytes, find_coder: FindCoder | None = None) -> "EncodedAudio":
        """Read the bytes of a ``.bsc`` file. Raises BitstreamError."""
        with BscReader(io.BytesIO(data), find_coder=find_coder) as reader:
            return cls._read(reader)

    @classmethod
    def _read(cls, reader: "BscReader") -> "EncodedAudio":
        header = coded_by(reader.header, None)  # codes are the same, however they were stored
        return cls(**vars(header), codes=np.concatenate(list(reader), axis=-1))


class BscReader:
    """Read a ``.bsc`` file: ``header`` first, then iterate over blocks of codes.

    Every block is (num_bands, frames) int64, or (num_channels, num_bands, frames) of several
    channels, at most ten seconds of frames, and checked before it is given out. Size and header
    are checked at once, so a foreign or cut file raises here.

    Args:
        source: a path, or a file that can be sought in.
        name: what errors call a file without a path.
        any_size: take a file that is cut short or has more than its header says, too.
        find_coder: returns the coder of an entropy-coded file; None: its codes cannot be read.

    Raises:
        BitstreamError: one line that names the file and what is wrong with it.
        OSError: the file cannot be read, or is a pipe or device.
    """

    def __init__(
        self,
        source: str | os.PathLike | BinaryIO,
        name: str | None = None,
        any_size: bool = False,
        find_coder: FindCoder | None = None,
    ) -> None:
        if isinstance(source, (str, os.PathLike)):
            self.name = os.fspath(source)
            require_regular(source)
            self._file: BinaryIO = open(source, "rb")
        else:
            self.name = name or getattr(source, "name", "bitstream")
            self._file = source
        self._coder: BlockCoder | None = None
        self._ahead: dict[int, np.ndarray | None] = {}  # blocks that were decoded with others
        try:
            self.file_bytes = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            header, start = unpack_header(self._file.read(MAX_HEADER_BYTES), self.name)
            self.header = header
            if header.num_samples < 1:
                raise BitstreamError(
                    f"{self.name}: the file holds no audio (it was never finished)"
                )
            self._layout: PlainLayout | CodedLayout = (
                CodedLayout(self._file, header, start, self.file_bytes, any_size)
                if header.predictor
                else PlainLayout(header, start, self.file_bytes)
            )
            if self.wrong_size and not any_size:
                raise BitstreamError(f"{self.name}: {self.wrong_size}")
            if header.predictor and find_coder:
                self._coder = find_coder(header, self.name)
        except BaseException:
            self._file.close()
            raise

    def read_block(self, index: int) -> np.ndarray:
        """Return the codes of block ``index``, counted from 0, as iteration gives them."""
        header = self.header
        if not 0 <= index < header.num_blocks:
            raise IndexError(f"{self.name}: no block {index}: there are {header.num_blocks}")
        if header.predictor:
            if index not in self._ahead:
                most = MAX_CODED_CODES // header.block_codes
                count = min(max(1, ROWS_AT_ONCE // header.num_channels), most)
                last = min(index + count, header.num_blocks)
                self._ahead = self._decoded(range(index, last), self.coder())
            codes = self._ahead.pop(index)
        else:
            payload = self._payload(index)
            frames = header.frames_of_block(index)
            codes = None if payload is None else unpack_block(header, payload, frames)
        if codes is None:
            raise self._damage(index)
        return codes

    def check_block(self, index: int) -> int:
        """Check a block and return the bytes that its codes take.

        Of entropy-coded ones the checksum is compared, without a coder. Raises BitstreamError.
        """
        if not self.header.predictor:
            self.read_block(index)
        payload = self._payload(index)
        if payload is None:
            raise self._damage(index)
        return len(payload)

    def coder(self) -> BlockCoder:
        """Return what decodes an entropy-coded file. Raises BitstreamError: nothing was given."""
        if self._coder is None:
            raise BitstreamError(
                f"{self.name}: its codes are entropy-coded, by a model's predictor"
            )
        return self._coder

    def _damage(self, index: int) -> BitstreamError:
        where = f"block {index + 1} of {self.header.num_blocks} {self.times(index, index)}"
        return BitstreamError(f"{self.name}: {where} is damaged")

    def _payload(self, index: int) -> bytes | None:
        """Return the bytes of a block's codes; None where it is damaged or missing."""
        span = self._layout.span(index)
        if span is None:
            return None
        self._file.seek(span.start)
        data = self._file.read(span.size + CRC_BYTES)
        payload, stored = data[: span.size], data[span.size :]
        return payload if stored == block_crc(index, payload) else None

    def _decoded(self, indices: range, coder: BlockCoder) -> dict[int, np.ndarray | None]:
        """Blocks of an entropy-coded file, decoded in one go."""
        header = self.header
        blocks: dict[int, np.ndarray | None] = dict.fromkeys(indices)
        coded: dict[int, bytes] = {}
        for index in indices:
            payload, frames = self._payload(index), header.frames_of_block(index)
            if payload is None:
                continue
            plain = header.payload_bytes(frames)
            if is_coded_size(len(payload), plain):
                coded[index] = payload
                continue
            codes = unpack_block(header, payload, frames)
            if codes is not None and coded_payload(header, codes, coder, plain) is None:
                blocks[index] = codes  # what is shorter coded is never written plainly
        if coded:
            shape = (header.num_channels, header.num_bands)
            frames_of = [header.frames_of_block(index) for index in coded]
            found = coder.decode([*coded.values()], frames_of, *shape)
            for index, codes in zip(coded, found, strict=True):
                blocks[index] = None if codes is None else codes.reshape(*header.codes_shape, -1)
        return blocks

    @property
    def wrong_size(self) -> str:
        """What is wrong with the size of the file; empty: nothing."""
        return self._layout.wrong_size

    @property
    def num_blocks_there(self) -> int:
        """Blocks that are there to their last byte."""
        return self._layout.num_there

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
