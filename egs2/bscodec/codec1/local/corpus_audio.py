"""Read any audio file as 24 kHz mono, write 16-bit FLAC without ever leaving half a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

SAMPLING_RATE = 24000  # Hz
PEAK = 0.999  # the loudest sample a written file may hold


def read_native(path: Path, start: float = 0.0, seconds: float | None = None):
    """Decode part of a file and average its channels.

    Args:
        path: any format libsndfile reads.
        start: first instant, in seconds.
        seconds: length, in seconds; ``None`` reads to the end.

    Returns:
        ``(samples, rate)``: float32 of shape (T,), and the file's own rate in Hz.

    Raises:
        ValueError: the file cannot be decoded, is empty or holds non-finite samples.
    """
    try:
        with sf.SoundFile(str(path)) as file:
            rate = file.samplerate
            count = -1 if seconds is None else round(seconds * rate)
            return read_mono(file, round(start * rate), count), rate
    except (sf.SoundFileError, OSError) as error:
        raise ValueError(f"unreadable: {error}") from None


def read_mono(file: sf.SoundFile, first: int, count: int) -> np.ndarray:
    """``count`` samples of an open file from the ``first`` on, -1 for all, channels averaged.

    Returns:
        (T,) float32 at the file's rate.

    Raises:
        ValueError: they cannot be decoded, there are none, or some are not finite.
    """
    try:
        if first:
            file.seek(first)
        samples = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
    except (sf.SoundFileError, OSError) as error:
        raise ValueError(f"unreadable: {error}") from None
    if not len(samples):
        raise ValueError("unreadable: no samples")
    if not np.isfinite(samples).all():
        raise ValueError("unreadable: non-finite samples")
    return samples


def resample(samples: np.ndarray, rate: float, new_rate: float = SAMPLING_RATE) -> np.ndarray:
    """Change the rate of (T,) float32 samples with soxr's best quality; rates in Hz."""
    if rate == new_rate:
        return samples
    return soxr.resample(samples, rate, new_rate, quality="VHQ").astype(np.float32)


def limit(samples: np.ndarray) -> np.ndarray:
    """Scale samples down, as a whole, when their peak would clip."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * (PEAK / peak) if peak > PEAK else samples


def read_flac(path: Path) -> np.ndarray:
    """Read one of our own segments: (T,) float32 at 24 kHz."""
    samples, rate = read_native(path)
    if rate != SAMPLING_RATE:
        raise ValueError(f"{path}: {rate} Hz, expected {SAMPLING_RATE} Hz")
    return samples


def write_flac(path: Path, samples: np.ndarray) -> int:
    """Write (T,) samples as 24 kHz mono 16-bit FLAC, whole or not at all.

    Returns:
        The number of samples written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
    try:
        sf.write(str(part), pcm, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return len(pcm)
