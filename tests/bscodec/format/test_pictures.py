"""Pictures show what is in the sound, on fixed scales."""

import io

import numpy as np
import pytest
from PIL import Image

from espnet2.gan_codec.bscodec.format.pictures import (
    MAX_COLUMNS,
    RANGE_DB,
    power_spectrogram,
    spectrogram_png,
    waveform_path,
)


def outline(path):
    points = [point.split() for point in path.strip("MZ").split("L")]
    return np.array(points, dtype=float)


def test_a_tone_is_a_bright_row_at_its_frequency():
    tone = np.sin(2 * np.pi * 3000 * np.arange(24000) / 24000).astype(np.float32)
    power = power_spectrogram(tone)
    picture = Image.open(io.BytesIO(spectrogram_png(power, power.max())))
    brightness = np.asarray(picture.convert("L"), dtype=float).mean(axis=1)
    assert picture.size == (power.shape[1], 257)
    assert np.argmax(brightness[::-1]) == 3000 / 24000 * 512
    assert brightness[0] == brightness.min()  # the highest frequency is on top


@pytest.mark.parametrize("num_samples", [1, 100, 512, 24000, 1000003])
def test_any_length_has_pictures_of_bounded_width(num_samples):
    audio = np.full(num_samples, 0.1, dtype=np.float32)
    assert 1 <= power_spectrogram(audio).shape[1] <= MAX_COLUMNS
    points = outline(waveform_path(audio, 0.1))
    assert len(points) == 2 * min(num_samples, MAX_COLUMNS)
    assert 0 < points[:, 0].min() <= points[:, 0].max() < MAX_COLUMNS


def test_silence_is_dark_and_a_thin_line():
    silence = np.zeros(5000, dtype=np.float32)
    picture = Image.open(io.BytesIO(spectrogram_png(power_spectrogram(silence), 0.0)))
    assert np.asarray(picture).max() == 0
    assert np.abs(outline(waveform_path(silence, 0.0))[:, 1]).max() < 1


def test_scale_is_the_callers():
    power = np.array([[1.0, 10 ** (-RANGE_DB / 20), 10 ** (-RANGE_DB / 10), 0.0]])
    levels = np.asarray(Image.open(io.BytesIO(spectrogram_png(power, 1.0))))[0]
    assert levels.tolist() == [63, 32, 0, 0]
    audio = np.array([0.5, -0.25], dtype=np.float32)
    y = outline(waveform_path(audio, 1.0))[:, 1]
    assert y.min() == pytest.approx(-50, abs=1) and y.max() == pytest.approx(25, abs=1)
