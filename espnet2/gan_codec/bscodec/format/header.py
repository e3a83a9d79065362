"""What a ``.bsc`` file says before its codes, and what follows from that."""

import math
from dataclasses import dataclass, field, replace

MONO_VERSION = 1  # one channel and no original rate: what this version has no place for
VERSION = 2
CODED_VERSION = 3  # entropy-coded
SUFFIX = ".bsc"
BLOCK_SECONDS = 10
MAX_BITS = 32
NUM_SAMPLES_BYTES = 5
MAX_NUM_SAMPLES = 256**NUM_SAMPLES_BYTES - 1
MAX_CHANNELS = 255
MAX_BLOCK_CODES = 1 << 22  # of a channel: reading costs memory by the block
MAX_CODED_CODES = 1 << 20  # of all channels, entropy-coded: a small block may hold many
MAX_BANDS = 127
CRC_BYTES = 4


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
        predictor: first 4 bytes of the fingerprint of what the codes were entropy-coded by, as 8
            hex digits; empty: they are stored plainly.

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
    predictor: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        check(0 <= self.num_samples <= MAX_NUM_SAMPLES, "num_samples", self.num_samples)
        check(1 <= self.sampling_rate < 2**32, "sampling_rate", self.sampling_rate)
        check(1 <= self.hop_length < 2**32, "hop_length", self.hop_length)
        check(1 <= len(self.bands) <= MAX_BANDS, "bands", self.bands)
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
        check(_is_fingerprint(self.fingerprint), "fingerprint", repr(self.fingerprint))
        known = not self.predictor or _is_fingerprint(self.predictor)
        check(known, "predictor", repr(self.predictor))
        most = MAX_CODED_CODES if self.predictor else MAX_BLOCK_CODES * MAX_CHANNELS
        check(self.block_codes <= most, "entropy-coded codes in ten seconds", self.block_codes)
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
        if self.predictor:
            return CODED_VERSION
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
    def block_codes(self) -> int:
        """Codes of all bands and channels in every block but the last."""
        return self.frames_per_block * self.num_bands * self.num_channels

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

    def payload_bytes(self, num_frames: int) -> int:
        """Size in bytes of the codes of ``num_frames`` frames, stored plainly."""
        return -(-num_frames * self.frame_bits // 8)

    def block_bytes(self, num_frames: int) -> int:
        """Size in bytes of a plain block of ``num_frames`` frames with its checksum."""
        return self.payload_bytes(num_frames) + CRC_BYTES

    def frames_of_block(self, index: int) -> int:
        return min(self.frames_per_block, self.num_frames - index * self.frames_per_block)


def _is_fingerprint(text: str) -> bool:
    return len(text) == 8 and set(text) <= set("0123456789abcdef")


def check(condition: bool, name: str, value: object) -> None:
    """Raise BitstreamError unless ``condition`` holds for the field ``name``."""
    if not condition:
        raise BitstreamError(f"{name}: {value} cannot be stored in a {SUFFIX} file")
