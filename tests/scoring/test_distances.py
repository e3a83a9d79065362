"""Distances are auraloss's numbers, defined for every pair of utterances."""

import sys

import auraloss
import librosa
import numpy as np
import pytest
import soxr
import torch

from espnet2.gan_codec.scoring.metrics.mel_distance import MelDistance
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.metrics.stft_distance import STFTDistance
from espnet2.gan_codec.scoring.pairs import score_pair

METRICS = [MelDistance, STFTDistance]
RATE = 24000


def make_pair(num_samples=24000):
    generator = np.random.default_rng(1)
    time = np.arange(num_samples) / RATE
    reference = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)
    decoded = 0.9 * reference + 0.01 * generator.standard_normal(num_samples)
    return reference.astype(np.float32), decoded.astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("num_samples", [1, 100, 512, 1024, 24000])
def test_identical_audio_has_distance_zero(metric, num_samples):
    reference, decoded = make_pair(num_samples)
    assert metric()(reference, reference) == 0
    assert metric()(reference, decoded) > 0
    assert metric()(np.zeros_like(reference), np.zeros_like(reference)) == 0


def test_golden_numbers():
    reference, decoded = make_pair()
    assert score_pair(reference, decoded, RATE, [m() for m in METRICS]) == pytest.approx(
        {"mel": 6.14759, "STFT": 6.94655}, rel=1e-3
    )


def test_they_are_the_defaults_of_auraloss_with_the_reference_as_target():
    reference, decoded = make_pair()
    x, y = (torch.from_numpy(audio)[None, None] for audio in (decoded, reference))
    mel = auraloss.freq.MelSTFTLoss(sample_rate=24000)(x, y).item()
    stft = auraloss.freq.STFTLoss()(x, y).item()
    scores = score_pair(reference, decoded, RATE, [STFTDistance(), MelDistance()])
    assert scores == {"STFT": stft, "mel": mel}


def test_defaults_have_the_published_formula():
    reference, decoded = make_pair()
    x, y = (
        torch.stft(
            torch.from_numpy(a), 1024, 256, window=torch.hann_window(1024), return_complex=True
        )
        .abs()
        .clamp(min=1e-4)
        for a in (decoded, reference)
    )

    def formula(x, y):
        convergence = torch.linalg.norm(y - x) / torch.linalg.norm(y)
        return (convergence + (y.log() - x.log()).abs().mean()).item()

    assert STFTDistance()(reference, decoded) == pytest.approx(formula(x, y), rel=1e-5)
    bands = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128))
    expected = formula(bands @ x, bands @ y)
    assert MelDistance()(reference, decoded) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_silence_and_extremes_give_finite_numbers(metric):
    silence, loud = np.zeros(5000, np.float32), np.ones(5000, np.float32)
    for pair in [(silence, loud), (loud, silence)]:
        assert 0 < metric()(*pair) < np.inf


def test_pairs_at_other_rates_are_resampled():
    pair = make_pair(48000)
    resampled = [soxr.resample(audio, 48000, RATE) for audio in pair]
    metric = STFTDistance()
    assert score_pair(*pair, 48000, [metric]) == {"STFT": metric(*resampled)}


def test_a_little_difference_of_length_is_cut_off_and_more_is_refused():
    reference, decoded = make_pair()
    metric = STFTDistance()
    shorter = score_pair(reference, decoded[:-300], RATE, [metric])
    assert shorter == {"STFT": metric(reference[:-300], decoded[:-300])}
    with pytest.raises(ScoringError, match="1.00 s and the decoded audio 0.80 s"):
        score_pair(reference, decoded[:19200], RATE, [metric])


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 10)), np.array([0.0, np.nan])])
def test_what_is_no_recording_is_refused(bad):
    with pytest.raises(ScoringError, match="^decoded audio: "):
        score_pair(np.zeros(10), bad, RATE, [])
    with pytest.raises(ScoringError, match="^reference: "):
        score_pair(bad, np.zeros(10), RATE, [])


@pytest.mark.parametrize("metric", METRICS)
def test_missing_package_is_named(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "auraloss.freq", None)
    with pytest.raises(ScoringError, match=r"pip install 'espnet-bscodec\[demo\]'"):
        metric()
