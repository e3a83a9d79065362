"""Audio files in and out, by blocks: any format, rate and number of channels.

Nothing here holds more than a block of a file, so that files may be of any length.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from espnet2.gan_codec.bscodec.format.atomic import atomic_write

BLOCK_FRAMES = 1 << 16
SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats()) - {".raw"} | {
    ".aif",
    ".aifc",
    ".oga",
    ".opus",
    ".sph",
}
_OUTPUT_FORMATS = {".wav": "WAV", ".flac": "FLAC"}
_WAV_LIMIT = 2**32 - 4096  # bytes; a longer file needs RF64, which has the same suffix
_STREAMED = 0x7FFF0000  # sizes from here on are what programs put in that write to a pipe
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255  # the largest there is
_UNKNOWN_LENGTH = 2**62
_DISK_FULL = 1 << 20  # bytes left under which a failed write is put down to a full disk


class AudioError(ValueError):
    """Audio that cannot be read or written as asked: one line that names the file."""


class AudioReader:
    """An audio file open for reading by blocks; a context manager.

    Attributes:
        sampling_rate: in Hz.
        num_channels: 1 or more.
        num_samples: per channel as the file's header says, or None where it does not.

    Raises:
        AudioError: no audio file, an empty one, or one that is shorter than its header says.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        open(self.path, "rb").close()  # soundfile says "System error" for a missing file
        if os.path.getsize(self.path) == 0:
            raise AudioError(f"{self.path}: the file is empty")
        try:
            self._file = soundfile.SoundFile(_name(self.path))
        except (soundfile.SoundFileError, TypeError) as error:
            reason = str(error).rpartition(": ")[2].strip().rstrip(".")
            raise AudioError(f"{self.path}: not readable as audio: {reason}") from error
        self.sampling_rate: int = self._file.samplerate
        self.num_channels: int = self._file.channels
        known = self._file.frames < _UNKNOWN_LENGTH
        self.num_samples: int | None = self._file.frames if known else None
        try:
            self._check_header()
        except AudioError:
            self._file.close()
            raise

    @property
    def duration(self) -> float:
        """In seconds; 0 where the header does not say."""
        return (self.num_samples or 0) / self.sampling_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (n, num_channels) float32 blocks, n >= 1, full scale at +-1.

        Raises:
            AudioError: damaged or missing samples, or ones that are not finite.
        """
        done = 0
        while True:
            try:
                block = self._file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                place = f"after {done / self.sampling_rate:.2f} s"
                raise AudioError(f"{self.path}: damaged or cut short {place}") from error
            if not len(block):
                break
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                second = (done + int(np.argmin(finite))) / self.sampling_rate
                raise AudioError(f"{self.path}: sample at {second:.3f} s is NaN or infinite")
            done += len(block)
            yield block
        if self.num_samples is not None and done < self.num_samples:
            raise AudioError(
                f"{self.path}: cut short: {done} of {self.num_samples} samples could be read"
            )
        if not done:
            raise AudioError(f"{self.path}: the file holds no audio")

    def mono_blocks(self, sampling_rate: int) -> Iterator[np.ndarray]:
        """Yield (n,) float32 blocks of the mean of all channels at ``sampling_rate`` Hz.

        Altogether they have ``resampled_length(number of samples, ...)`` samples.
        """
        return self.mixed_blocks(sampling_rate, downmix)

    def mixed_blocks(
        self, sampling_rate: int, mix: Callable[[np.ndarray], np.ndarray], num_channels: int = 1
    ) -> Iterator[np.ndarray]:
        """Yield float32 blocks of ``num_channels`` channels at ``sampling_rate`` Hz.

        ``mix`` makes them of (n, self.num_channels): (n,) for one, else (n, num_channels).
        """
        mixed = (mix(block) for block in self.blocks())
        return resample(mixed, self.sampling_rate, sampling_rate, num_channels)

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _check_header(self) -> None:
        # libsndfile reads a cut file as far as it goes: Ogg without a word, ...
        if self._file.format == "OGG" and not _ends_with_whole_page(self.path):
            raise AudioError(f"{self.path}: cut short: its last Ogg page is not complete")
        if self.num_samples == 0:
            raise AudioError(f"{self.path}: the file holds no audio")
        # ... WAV and AIFF with a line in its log.
        log = self._file.extra_info
        match = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
        if match:
            promised, present = map(int, match.groups())
            if present < promised < _STREAMED:
                raise AudioError(
                    f"{self.path}: cut short: {present} of {promised} bytes of audio are there"
                )


def _name(path: str | os.PathLike) -> str | bytes:
    """Return a file's name as soundfile takes it: also one that is no Unicode (not on Windows)."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def _ends_with_whole_page(path: str) -> bool:
    """Whether an Ogg file ends where its last page (27 bytes, segment sizes, segments) does."""
    with open(path, "rb") as file:
        file.seek(-min(os.path.getsize(path), _OGG_PAGE_BYTES), os.SEEK_END)
        page = file.read().rpartition(b"OggS")[2]
    num_segments = page[22] if len(page) > 22 else 0
    sizes = page[23 : 23 + num_segments]
    return len(page) >= 23 + num_segments + sum(sizes) and len(sizes) == num_segments > 0


def downmix(audio: np.ndarray) -> np.ndarray:
    """Return the mean over channels: (T, C) float32 -> (T,) float32."""
    return audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1, dtype=np.float32)


def resampled_length(num_samples: int, rate: int, new_rate: int) -> int:
    """Return the samples that ``num_samples`` at ``rate`` Hz become: rounded, at least 1."""
    return max(1, (2 * num_samples * new_rate + rate) // (2 * rate))


def resample(
    blocks: Iterable[np.ndarray], rate: int, new_rate: int, num_channels: int = 1
) -> Iterator[np.ndarray]:
    """Resample float32 blocks from ``rate`` to ``new_rate`` Hz, with soxr's high quality.

    Blocks are (n,), or (n, num_channels) for more than one.

    The result does not depend on the block sizes, and has exactly
    ``resampled_length`` samples.
    """
    if rate == new_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, new_rate, num_channels, dtype="float32", quality="HQ")
    num_samples_in = num_samples_out = 0
    for block in blocks:
        num_samples_in += len(block)
        resampled = stream.resample_chunk(block)
        num_samples_out += len(resampled)
        yield resampled
    missing = resampled_length(num_samples_in, rate, new_rate) - num_samples_out
    shape = () if num_channels == 1 else (num_channels,)
    tail = stream.resample_chunk(np.zeros((0, *shape), dtype=np.float32), last=True)[:missing]
    yield np.concatenate([tail, np.zeros((missing - len(tail), *shape), dtype=np.float32)])


class AudioWriter:
    """What ``write_audio`` gives: ``append`` blocks, then look at ``peak`` and ``num_clipped``."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self.peak = 0.0
        self.num_clipped = 0

    def append(self, block: np.ndarray) -> None:
        """Add float32 samples, (n,) or (n, channels), full scale at +-1."""
        if block.size:
            magnitude = np.abs(block)
            self.peak = max(self.peak, float(magnitude.max()))
            self.num_clipped += int((magnitude > 1).sum())
            self._file.write(block)


@contextmanager
def write_audio(
    path: str | os.PathLike,
    sampling_rate: int,
    num_samples: int,
    float32: bool = False,
    num_channels: int = 1,
) -> Iterator[AudioWriter]:
    """Write audio by blocks; the file appears under its name once it is complete.

    Args:
        path: ends in ``.wav`` or ``.flac``.
        sampling_rate: in Hz.
        num_samples: of each channel that will come: a WAV file of more than 4 GiB has to be RF64.
        float32: store floats (WAV only) instead of 16-bit integers, which end at full scale:
            samples beyond it are cut off there.
        num_channels: of the blocks, interleaved in the file.

    Raises:
        AudioError: another suffix, or floats in a FLAC file.
        OSError: the folder is missing or the disk is full.
    """
    kind = _OUTPUT_FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise AudioError(f"{path}: audio is written as {' or '.join(_OUTPUT_FORMATS)}")
    if float32 and kind != "WAV":
        raise AudioError(f"{path}: only a .wav file can hold floats")
    if kind == "WAV" and num_samples * num_channels * (4 if float32 else 2) > _WAV_LIMIT:
        kind = "RF64"
    subtype = "FLOAT" if float32 else "PCM_16"
    with atomic_write(path) as temporary:
        try:
            with soundfile.SoundFile(
                _name(temporary), "w", sampling_rate, num_channels, subtype, format=kind
            ) as file:
                yield AudioWriter(file)
        except soundfile.SoundFileError as error:
            if shutil.disk_usage(temporary.parent).free < _DISK_FULL:
                number = errno.ENOSPC
                raise OSError(number, os.strerror(number), os.fspath(path)) from error
            raise AudioError(f"{path}: could not be written: {error}") from error
