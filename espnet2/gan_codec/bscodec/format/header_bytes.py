"""The bytes ahead of the codes in a ``.bsc`` file (layout: ``docs/bitstream.md``).

Kept to about 30 bytes, since ten seconds of codes are only three to five thousand: well-known
models and clocks are table indices, the rest are variable-length integers.
"""

import struct
import zlib
from itertools import pairwise
from typing import Any, TypeVar

from espnet2.gan_codec.bscodec.format.cursor import Cursor, Damage, pack_varint
from espnet2.gan_codec.bscodec.format.header import (
    CODED_VERSION,
    CRC_BYTES,
    MAX_BITS,
    MONO_VERSION,
    NUM_SAMPLES_BYTES,
    SUFFIX,
    BitstreamError,
    BscHeader,
)

MAGIC = b"BSC"
WELL_KNOWN_MODELS = (
    "bscodec-mini",
    "BSCodec_band_vq_5band",
    "BSCodec_band_simvq_3band",
    "BSCodec_band_simvq_2band",
)
WELL_KNOWN_CLOCKS = ((24000, 320), (16000, 320), (44100, 512), (48000, 640))  # (Hz, samples)
SPELLED_OUT = 0  # table index that says: the value itself follows
MAX_HEADER_BYTES = 4096  # more than any header of these versions can take

_EXPLICIT_EDGES = 0x80
_ALL_ALIKE = 0x80
_NOT_A_POWER_OF_TWO = 0x40


T = TypeVar("T")


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
    parts.append(bytes.fromhex(header.predictor))
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
        if not MONO_VERSION <= version <= CODED_VERSION:
            raise BitstreamError(
                f"{name}: version {version} of the {SUFFIX} format: "
                f"this program reads {MONO_VERSION} to {CODED_VERSION}"
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
    more: dict[str, Any] = {}
    if version > MONO_VERSION:
        more = {"num_channels": cursor.byte(), "original_rate": cursor.varint()}
        if more["original_rate"]:
            length = int.from_bytes(cursor.take(NUM_SAMPLES_BYTES), "little")
            more["original_samples"] = length
    if version == CODED_VERSION:
        more["predictor"] = cursor.take(4).hex()
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
