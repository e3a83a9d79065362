"""Audio files in and out, by blocks: any format, rate and number of channels.

Nothing here holds more than a block of a file, so that files may be of any length. What decodes
them is in ``decoders.py``, what finds cut and damaged ones in ``containers.py`` and ``parts.py``.
"""

import errno
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.audio_error import AudioError, DecoderError
from espnet2.gan_codec.bscodec.format.containers import audio_extent
from espnet2.gan_codec.bscodec.format.decoders import (
    Decoder,
    SoundFileDecoder,
    open_decoder,
    sound_file_name,
)
from espnet2.gan_codec.bscodec.format.ffmpeg import SUFFIXES as FFMPEG_SUFFIXES
from espnet2.gan_codec.bscodec.format.ffmpeg import FfmpegDecoder
from espnet2.gan_codec.bscodec.format.files import file_version, require_regular
from espnet2.gan_codec.bscodec.format.parts import Part, find_parts

BLOCK_FRAMES = 1 << 16
LOWEST_RATE = 1000  # Hz; what has less is no audio, and would become very long
_MORE_SUFFIXES = ".aif .aifc .mp2 .oga .opus .snd .sph".split()
SUFFIXES = frozenset(
    {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}
    | FFMPEG_SUFFIXES.union(_MORE_SUFFIXES)
)
_OUTPUT_FORMATS = {".wav": "WAV", ".flac": "FLAC"}
_WAV_LIMIT = 2**32 - 4096  # bytes; a longer file needs RF64, which has the same suffix
_FLAC_CHANNELS = 8  # the most that the format has
_DISK_FULL = 1 << 20  # bytes left under which a failed write is put down to a full disk


class AudioReader:
    """An audio file open for reading by blocks; a context manager.

    Streams that lie one after the other in a file (chained Ogg, joined FLAC or MP3) are read as
    one.

    Args:
        path: a file in any format that libsndfile or, where it is installed, ffmpeg reads.
        salvage: read what there is of a cut or damaged file; ``problems`` says what is missing.

    Attributes:
        sampling_rate: in Hz.
        num_channels: 1 or more.
        num_samples: per channel as the file's header says, or None where it does not.
        problems: with ``salvage``, what was found wrong so far.

    Raises:
        AudioError: no audio file, an empty one, or one that is shorter than its header says.
        OSError: the file cannot be opened, or is no regular file.
    """

    def __init__(self, path: str | os.PathLike, salvage: bool = False) -> None:
        self.path = os.fspath(path)
        self.problems: list[str] = []
        self._salvage = salvage
        require_regular(self.path)
        self._version = file_version(self.path)
        if os.path.getsize(self.path) == 0:
            raise AudioError(f"{self.path}: the file is empty")
        try:
            self._decoder = open_decoder(self.path)
        except DecoderError as error:
            raise AudioError(f"{self.path}: {error}") from error
        self.sampling_rate = self._decoder.sampling_rate
        self.num_channels = self._decoder.num_channels
        self.num_samples = self._decoder.num_samples
        try:
            self._check_header()
        except BaseException:
            self._decoder.close()
            raise

    @property
    def duration(self) -> float:
        """In seconds; 0 where the header does not say."""
        if isinstance(self._decoder, FfmpegDecoder):
            return self._decoder.duration()
        return (self.num_samples or 0) / self.sampling_rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (n, num_channels) float32 blocks, n >= 1, full scale at +-1.

        Raises:
            AudioError: damaged or missing samples, ones that are not finite, or a file that was
                written to or replaced meanwhile.
            OSError: it has been removed meanwhile.
        """
        done = 0
        parts = find_parts(self.path, self._decoder.container)
        for part in parts:
            if part.problem:
                self._found(part.problem)
        if len(parts) > 1 and isinstance(self._decoder, FfmpegDecoder):
            raise AudioError(
                f"{self.path}: holds {len(parts)} streams one after the other, of a kind that is "
                "read only by itself"
            )
        for part in parts:
            for block in self._part_blocks(part, len(parts)):
                finite = np.isfinite(block).all(axis=1)
                if not finite.all():
                    second = (done + int(np.argmin(finite))) / self.sampling_rate
                    raise AudioError(f"{self.path}: sample at {second:.3f} s is NaN or infinite")
                done += len(block)
                yield block
        if not done:
            raise AudioError(f"{self.path}: the file holds no audio")
        if file_version(self.path) != self._version:
            raise AudioError(f"{self.path}: was written to while it was read")

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
        self._decoder.close()

    def _found(self, problem: str) -> None:
        """Refuse the file for a problem, or note it."""
        if not self._salvage:
            raise AudioError(f"{self.path}: {problem}")
        self.problems.append(problem)

    def _check_header(self) -> None:
        rate = self.sampling_rate
        if rate < LOWEST_RATE:
            raise AudioError(f"{self.path}: {rate} Hz is no rate of audio ({LOWEST_RATE} or more)")
        subtype = getattr(self._decoder, "subtype", "")
        extent = audio_extent(self.path, self._decoder.container, self.num_channels, subtype)
        if extent and extent.present < extent.promised:
            self._found(
                f"cut short: {extent.present} of {extent.promised} bytes of audio are there"
            )
        if self.num_samples == 0:
            problems = [part.problem for part in find_parts(self.path, self._decoder.container)]
            problem = next(filter(None, problems), "the file holds no audio")
            raise AudioError(f"{self.path}: {problem}")

    def _part_blocks(self, part: Part, num_parts: int) -> Iterator[np.ndarray]:
        """Yield the blocks of one of the streams in the file."""
        if num_parts == 1 and not part.prefix:
            yield from self._decoded(self._decoder)
            return
        try:
            decoder = SoundFileDecoder(self.path, part)
        except DecoderError as error:
            self._found(f"its stream from byte {part.start} on is {error}")
            return
        with closing(decoder):
            found = (decoder.sampling_rate, decoder.num_channels)
            if found != (self.sampling_rate, self.num_channels):
                raise AudioError(
                    f"{self.path}: streams of different rates or numbers of channels, one after "
                    "the other"
                )
            yield from self._decoded(decoder)

    def _decoded(self, decoder: Decoder) -> Iterator[np.ndarray]:
        done = 0
        rate, promised = self.sampling_rate, decoder.num_samples
        # What a decoder has of a block before it meets damage is lost.
        size = BLOCK_FRAMES // 64 if self._salvage else BLOCK_FRAMES
        known = len(self.problems)
        while True:
            try:
                block = decoder.read(size)
            except DecoderError as error:
                length = f" of {promised / rate:.2f}" if promised else ""
                end = min(done + size, promised or done + size)  # somewhere in this block
                self._found(f"{error} within {done / rate:.2f}-{end / rate:.2f}{length} s")
                return
            message = "" if self._salvage and len(block) else decoder.message(not len(block))
            if message:
                self._found(f"damaged or cut short at {done / rate:.2f} s: {message}")
            if not len(block):
                break
            done += len(block)
            yield block
        if promised is not None and done < promised and known == len(self.problems):
            # Of these the end is known to be there: what is missing is within.
            what = "damaged" if decoder.container in ("OGG", "MP3") else "cut short"
            self._found(f"{what}: {done} of {promised} samples could be read")


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
    ``resampled_length`` samples. Blocks stay small where ``new_rate`` is many times ``rate``.
    """
    if rate == new_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, new_rate, num_channels, dtype="float32", quality="HQ")
    num_samples_in = num_samples_out = 0
    size = min(BLOCK_FRAMES, max(1, BLOCK_FRAMES * rate // new_rate))  # of about a block's result
    for block in blocks:
        num_samples_in += len(block)
        for start in range(0, len(block), size):
            resampled = stream.resample_chunk(block[start : start + size])
            num_samples_out += len(resampled)
            yield resampled
    missing = resampled_length(num_samples_in, rate, new_rate) - num_samples_out
    shape = () if num_channels == 1 else (num_channels,)
    tail = stream.resample_chunk(np.zeros((0, *shape), dtype=np.float32), last=True)[:missing]
    yield np.concatenate([tail, np.zeros((missing - len(tail), *shape), dtype=np.float32)])


class AudioWriter:
    """What ``write_audio`` gives: ``append`` blocks, then look at ``peak`` and ``num_clipped``."""

    def __init__(self, file: soundfile.SoundFile, path: str | os.PathLike) -> None:
        self._file, self._path, self._count = file, path, 0
        self.peak = 0.0
        self.num_clipped = 0

    def append(self, block: np.ndarray) -> None:
        """Add float32 samples, (n,) or (n, channels), full scale at +-1.

        Raises:
            AudioError: one is NaN or infinite.
        """
        if block.size:
            magnitude = np.abs(block)
            peak = float(magnitude.max())  # NaN where one is
            if not math.isfinite(peak):
                bad = ~np.isfinite(block.reshape(len(block), -1)).all(axis=1)
                second = (self._count + int(np.argmax(bad))) / self._file.samplerate
                raise AudioError(
                    f"{self._path}: decoded sample at {second:.3f} s is NaN or infinite"
                )
            self._count += len(block)
            self.peak = max(self.peak, peak)
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
        AudioError: another suffix, floats or more than 8 channels in a FLAC file, or a sample that
            is not finite.
        OSError: the folder is missing or the disk is full.
    """
    kind = _OUTPUT_FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise AudioError(f"{path}: audio is written as {' or '.join(_OUTPUT_FORMATS)}")
    if float32 and kind != "WAV":
        raise AudioError(f"{path}: only a .wav file can hold floats")
    if kind == "FLAC" and num_channels > _FLAC_CHANNELS:
        raise AudioError(
            f"{path}: {num_channels} channels: a .flac file holds up to {_FLAC_CHANNELS}, a .wav "
            "file all"
        )
    if kind == "WAV" and num_samples * num_channels * (4 if float32 else 2) > _WAV_LIMIT:
        kind = "RF64"
    subtype = "FLOAT" if float32 else "PCM_16"
    with atomic_write(path) as temporary:
        try:
            name = sound_file_name(temporary)
            with soundfile.SoundFile(
                name, "w", sampling_rate, num_channels, subtype, format=kind
            ) as file:
                yield AudioWriter(file, path)
        except soundfile.SoundFileError as error:
            if shutil.disk_usage(temporary.parent).free < _DISK_FULL:
                number = errno.ENOSPC
                raise OSError(number, os.strerror(number), os.fspath(path)) from error
            raise AudioError(f"{path}: could not be written: {error}") from error
