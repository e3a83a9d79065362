"""The sides of an utterance, such as original and decoded, drawn alike and ready to be heard."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soundfile

from espnet2.gan_codec.bscodec.format.pictures import (
    data_uri,
    power_spectrogram,
    spectrogram_png,
    waveform_path,
)

_STEPS = (1, 2, 5)  # between the marks of an axis, times a power of ten
_MAX_MARKS = 5


@dataclass(frozen=True)
class Mark:
    """A mark on an axis: where, in % of its length, and what it says."""

    place: float
    text: str


@dataclass(frozen=True)
class Side:
    """One of the sides of an utterance: addresses that are their contents, and a path."""

    name: str
    audio: str
    waveform: str
    spectrogram: str


def draw_sides(signals: Mapping[str, np.ndarray], sampling_rate: int) -> list[Side]:
    """Draw and encode signals (T,) float32 by name, on the scales of the first two."""
    scale = list(signals.values())[:2]
    peak = max(float(np.abs(audio).max()) for audio in scale)
    brightest = float(power_spectrogram(scale[0]).max())
    return [
        Side(
            name=name,
            audio=data_uri(flac(audio, sampling_rate), "audio/flac"),
            waveform=waveform_path(audio, peak),
            spectrogram=data_uri(
                spectrogram_png(power_spectrogram(audio), brightest), "image/png"
            ),
        )
        for name, audio in signals.items()
    ]


def axis_marks(end: float) -> list[Mark]:
    """Return marks at round numbers from 0 to at most ``end``, five or fewer of them."""
    steps = (step * 10.0**power for power in range(-6, 7) for step in _STEPS)
    step = next(step for step in steps if end / step < _MAX_MARKS)
    return [Mark(100 * i * step / end, f"{i * step:g}") for i in range(int(end / step) + 1)]


def flac(audio: np.ndarray, sampling_rate: int) -> bytes:
    """Return (T,) float32 as the bytes of a 16-bit FLAC file."""
    file = io.BytesIO()
    soundfile.write(file, audio, sampling_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
