"""The bytes ahead of the codes in a ``.bsc`` file (layout: ``docs/bitstream.md``).

Kept to about 30 bytes, since ten seconds of codes are only three to five thousand: well-known
models and clocks are table indices, the rest are variable-length integers.
"""

import math
import struct
import zlib
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

from espnet2.gan_codec.bscodec.format.cursor import Cursor, Damage, pack_varint

MAGIC = b"BSC"
MONO_VERSION = 1  # one channel and no original rate: what this version has no place for
VERSION = 2
SUFFIX = ".bsc"
BLOCK_SECONDS = 10
WELL_KNOWN_MODELS = (
    "bscodec-mini",
    "BSCodec_band_vq_5band",
    "BSCodec_band_simvq_3band",
    "BSCodec_band_simvq_2band",
)
WELL_KNOWN_CLOCKS = ((24000, 320), (16000, 320), (44100, 512), (48000, 640))  # (Hz, samples)
SPELLED_OUT = 0  # table index that says: the value itself follows
MAX_BITS = 32
NUM_SAMPLES_BYTES = 5
MAX_NUM_SAMPLES = 256**NUM_SAMPLES_BYTES - 1
MAX_CHANNELS = 255
MAX_BLOCK_CODES = 1 << 22  # of a channel: reading costs memory by the block
MAX_HEADER_BYTES = 4096  # more than any header of these versions can take
CRC_BYTES = 4

_EXPLICIT_EDGES = 0x80
_ALL_ALIKE = 0x80
_NOT_A_POWER_OF_TWO = 0x40


T = TypeVar("T")


class BitstreamError(ValueError):
    """A ``.bsc`` file that is damaged, cut short, foreign, or cannot be written as asked."""


@dataclass(frozen=True)
class BscHeader:
    """What a ``.bsc`` file says before its codes.

    Attributes:
        num_samples: length of the audio in samples at ``sampling_rate``.
        sampling_rate: in Hz.
        hop_length: samples per frame of codes.
        bands: (low, high) in Hz of each stream of codes, lowest first; the stages of a residual
            quantizer repeat theirs.
        codebook_sizes: number of entries of each stream's codebook.
        model: tag of the model the codes belong to (at most 255 bytes of UTF-8).
        fingerprint: first 4 bytes of the SHA-256 of that model's weights, as 8 hex digits.
        num_channels: that have codes of their own.
        original_rate: of the audio before it was resampled, in Hz; 0: not kept.
        original_samples: its length at ``original_rate``; 0 where that is not kept.

    Raises:
        BitstreamError: a value that no file can hold.
    """

    num_samples: int
    sampling_rate: int
    hop_length: int
    bands: tuple[tuple[float, float], ...]
    codebook_sizes: tuple[int, ...]
    model: str
    fingerprint: str
    num_channels: int = field(default=1, kw_only=True)
    original_rate: int = field(default=0, kw_only=True)
    original_samples: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check(0 <= self.num_samples <= MAX_NUM_SAMPLES, "num_samples", self.num_samples)
        check(1 <= self.sampling_rate < 2**32, "sampling_rate", self.sampling_rate)
        check(1 <= self.hop_length < 2**32, "hop_length", self.hop_length)
        check(1 <= len(self.bands) < _EXPLICIT_EDGES, "bands", self.bands)
        check(
            self.frames_per_block * len(self.bands) <= MAX_BLOCK_CODES,
            "codes in ten seconds",
            self.frames_per_block * len(self.bands),
        )
        check(all(0 <= lo < hi < math.inf for lo, hi in self.bands), "bands", self.bands)
        sizes = self.codebook_sizes
        check(len(sizes) == len(self.bands), "codebook_sizes", sizes)
        check(all(2 <= size <= 2**MAX_BITS for size in sizes), "codebook_sizes", sizes)
        check(1 <= len(self.model.encode()) <= 255, "model", repr(self.model))
        digits = set(self.fingerprint) <= set("0123456789abcdef")
        check(digits and len(self.fingerprint) == 8, "fingerprint", repr(self.fingerprint))
        check(1 <= self.num_channels <= MAX_CHANNELS, "num_channels", self.num_channels)
        check(0 <= self.original_rate < 2**32, "original_rate", self.original_rate)
        # resampling rounds to whole samples: another length is none that audio can have had
        off = self.original_samples * self.sampling_rate - self.num_samples * self.original_rate
        close = 2 * abs(off) <= self.original_rate or (self.num_samples == 1 and off < 0)
        known = bool(self.original_rate and self.num_samples)  # 0 while a file is being written
        fits = 0 <= self.original_samples <= MAX_NUM_SAMPLES and close
        check(known == bool(self.original_samples), "original_samples", self.original_samples)
        check(fits or not known, "original_samples", self.original_samples)

    def finished(self, num_samples: int, original_samples: int) -> "BscHeader":
        """Return the header with the lengths, which are known once all audio has come."""
        original = original_samples if self.original_rate else 0
        return replace(self, num_samples=num_samples, original_samples=original)

    @property
    def version(self) -> int:
        """Of the format: the oldest one that has a place for everything here."""
        is_mono = self.num_channels == 1 and not self.original_rate
        return MONO_VERSION if is_mono else VERSION

    @property
    def codes_shape(self) -> tuple[int, ...]:
        """Of one frame of codes: (num_bands,), or (num_channels, num_bands) for several."""
        channels = (self.num_channels,) if self.num_channels > 1 else ()
        return (*channels, self.num_bands)

    @property
    def num_bands(self) -> int:
        return len(self.bands)

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits of one index in each band: ceil(log2(codebook size))."""
        return tuple((size - 1).bit_length() for size in self.codebook_sizes)

    @property
    def frame_bits(self) -> int:
        """Bits of one frame, of all bands and channels."""
        return self.num_channels * sum(self.bits)

    @property
    def num_frames(self) -> int:
        return -(-self.num_samples // self.hop_length)

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.num_samples / self.sampling_rate

    @property
    def frames_per_block(self) -> int:
        """Frames in every block but the last: ten seconds, rounded up to whole frames."""
        return -(-BLOCK_SECONDS * self.sampling_rate // self.hop_length)

    @property
    def num_blocks(self) -> int:
        return -(-self.num_frames // self.frames_per_block)

    @property
    def bitrate(self) -> float:
        """Bits of code for every second of audio, in bits/s: the rate of an endless signal."""
        return self.frame_bits * self.sampling_rate / self.hop_length

    @property
    def payload_bits(self) -> int:
        """Bits of code in the whole file, the last frame counted whole."""
        return self.num_frames * self.frame_bits

    @property
    def payload_bitrate(self) -> float:
        """Bits of code in this file for every second of its audio, in bits/s."""
        return self.payload_bits / self.duration

    def file_bitrate(self, num_bytes: int) -> float:
        """Bits on disk for every second of audio, in bits/s, of a file of ``num_bytes``."""
        return 8 * num_bytes / self.duration

    def overhead(self, num_bytes: int) -> float:
        """What a file of ``num_bytes`` has beyond its codes, as a fraction of these."""
        return 8 * num_bytes / self.payload_bits - 1

    @property
    def blocks_bytes(self) -> int:
        """Size in bytes of all blocks, checksums included."""
        full, rest = divmod(self.num_frames, self.frames_per_block)
        size = full * self.block_bytes(self.frames_per_block)
        return size + (self.block_bytes(rest) if rest else 0)

    def block_bytes(self, num_frames: int) -> int:
        """Size in bytes of a block of ``num_frames`` frames with its checksum."""
        return -(-num_frames * self.frame_bits // 8) + CRC_BYTES

    def frames_of_block(self, index: int) -> int:
        return min(self.frames_per_block, self.num_frames - index * self.frames_per_block)


def check(condition: bool, name: str, value: object) -> None:
    """Raise BitstreamError unless ``condition`` holds for the field ``name``."""
    if not condition:
        raise BitstreamError(f"{name}: {value} cannot be stored in a {SUFFIX} file")


def pack_header(header: BscHeader) -> bytes:
    """Return the header's bytes. Equal headers give equal bytes."""
    parts = [MAGIC, bytes([header.version])]
    if header.model in WELL_KNOWN_MODELS:
        parts.append(bytes([1 + WELL_KNOWN_MODELS.index(header.model)]))
    else:
        tag = header.model.encode()
        parts.append(bytes([SPELLED_OUT, len(tag)]) + tag)
    parts.append(bytes.fromhex(header.fingerprint))
    clock = (header.sampling_rate, header.hop_length)
    if clock in WELL_KNOWN_CLOCKS:
        parts.append(bytes([1 + WELL_KNOWN_CLOCKS.index(clock)]))
    else:
        parts.append(bytes([SPELLED_OUT]) + pack_varint(clock[0]) + pack_varint(clock[1]))
    parts.append(header.num_samples.to_bytes(NUM_SAMPLES_BYTES, "little"))
    parts.append(_pack_bands(header.bands))
    parts.append(_pack_sizes(header.codebook_sizes))
    if header.version > MONO_VERSION:
        parts.append(bytes([header.num_channels]) + pack_varint(header.original_rate))
        if header.original_rate:
            parts.append(header.original_samples.to_bytes(NUM_SAMPLES_BYTES, "little"))
    data = b"".join(parts)
    return data + struct.pack("<I", zlib.crc32(data))


def unpack_header(data: bytes, name: str) -> tuple[BscHeader, int]:
    """Read the header at the start of ``data``; return it and its size in bytes.

    ``name`` is what an error calls the file.

    Raises:
        BitstreamError: not a ``.bsc`` file, of a newer version, cut short, or damaged.
    """
    if not data:
        raise BitstreamError(f"{name}: the file is empty")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise BitstreamError(f"{name}: not a {SUFFIX} file")
    cursor = Cursor(data, len(MAGIC))
    try:
        version = cursor.byte()
        if not MONO_VERSION <= version <= VERSION:
            raise BitstreamError(
                f"{name}: version {version} of the {SUFFIX} format: "
                f"this program reads {MONO_VERSION} and {VERSION}"
            )
        header = _unpack_fields(cursor, version)
        cursor.take(CRC_BYTES)
    except EOFError:
        raise BitstreamError(f"{name}: the file is cut short within its header") from None
    except (Damage, UnicodeDecodeError) as error:
        raise BitstreamError(f"{name}: the header is damaged") from error
    # One header has one spelling, checksum included: anything else has been changed.
    if pack_header(header) != data[: cursor.position]:
        raise BitstreamError(f"{name}: the header is damaged")
    return header, cursor.position


def _unpack_fields(cursor: Cursor, version: int) -> BscHeader:
    index = cursor.byte()
    model = cursor.take(cursor.byte()).decode() if index == SPELLED_OUT else None
    fingerprint = cursor.take(4).hex()
    if model is None:
        model = _lookup(WELL_KNOWN_MODELS, index)
    index = cursor.byte()
    if index == SPELLED_OUT:
        clock = (cursor.varint(), cursor.varint())
    else:
        clock = _lookup(WELL_KNOWN_CLOCKS, index)
    num_samples = int.from_bytes(cursor.take(NUM_SAMPLES_BYTES), "little")
    bands = _unpack_bands(cursor)
    sizes = _unpack_sizes(cursor, len(bands))
    more = {}
    if version > MONO_VERSION:
        more = {"num_channels": cursor.byte(), "original_rate": cursor.varint()}
        if more["original_rate"]:
            length = int.from_bytes(cursor.take(NUM_SAMPLES_BYTES), "little")
            more["original_samples"] = length
    try:
        return BscHeader(num_samples, *clock, bands, sizes, model, fingerprint, **more)
    except BitstreamError as error:
        raise Damage from error


def _lookup(table: tuple[T, ...], index: int) -> T:
    if not 1 <= index <= len(table):
        raise Damage
    return table[index - 1]


def _pack_bands(bands: tuple[tuple[float, float], ...]) -> bytes:
    """The number of bands and their upper edges; both edges of each when there are gaps."""
    edges = [high for _, high in bands]
    if _chain(edges) == tuple(map(tuple, bands)) and all(
        edge == int(edge) < 2**32 for edge in edges
    ):
        return bytes([len(bands)]) + b"".join(pack_varint(int(edge)) for edge in edges)
    spelled = b"".join(struct.pack("<dd", low, high) for low, high in bands)
    return bytes([_EXPLICIT_EDGES | len(bands)]) + spelled


def _unpack_bands(cursor: Cursor) -> tuple[tuple[float, float], ...]:
    first = cursor.byte()
    count = first & ~_EXPLICIT_EDGES
    if first & _EXPLICIT_EDGES:
        return tuple(struct.unpack("<dd", cursor.take(16)) for _ in range(count))
    return _chain([cursor.varint() for _ in range(count)])


def _chain(edges: list[float]) -> tuple[tuple[float, float], ...]:
    """Bands of these upper edges, each from the one below; an edge again is that band again."""
    bands: list[tuple[float, float]] = []
    for low, high in pairwise([0, *edges]):
        bands.append(bands[-1] if bands and low == high else (low, high))
    return tuple(bands)


def _pack_sizes(sizes: tuple[int, ...]) -> bytes:
    """One byte where all codebooks have the same power of two entries: its exponent."""
    if len(set(sizes)) == 1:
        first, *rest = _pack_size(sizes[0])
        return bytes([first | _ALL_ALIKE, *rest])
    return b"".join(_pack_size(size) for size in sizes)


def _pack_size(size: int) -> bytes:
    exponent = (size - 1).bit_length()
    if size == 1 << exponent:
        return bytes([exponent])
    return bytes([_NOT_A_POWER_OF_TWO]) + pack_varint(size)


def _unpack_sizes(cursor: Cursor, count: int) -> tuple[int, ...]:
    alike, size = _unpack_size(cursor)
    if alike:
        return (size,) * count
    return (size, *(_unpack_size(cursor)[1] for _ in range(count - 1)))


def _unpack_size(cursor: Cursor) -> tuple[bool, int]:
    first = cursor.byte()
    alike, rest = bool(first & _ALL_ALIKE), first & ~_ALL_ALIKE
    if rest == _NOT_A_POWER_OF_TWO:
        return alike, cursor.varint()
    if rest > MAX_BITS:
        raise Damage
    return alike, 1 << rest
