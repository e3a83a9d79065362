"""The spectral loss."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.losses import MultiResolutionSpectralLoss, relative_distance


@pytest.fixture(scope="module")
def noise():
    torch.manual_seed(0)
    return 0.1 * torch.randn(2, 1, 4800), 0.1 * torch.randn(2, 1, 4800)


def test_equal_audio_has_no_distance(noise):
    x, _ = noise
    assert MultiResolutionSpectralLoss()(x, x) == 0


def test_quiet_recordings_count_as_much_as_loud_ones(noise):
    x, y = noise
    loss = MultiResolutionSpectralLoss()
    both = loss(
        y * torch.tensor([1.0, 0.1])[:, None, None], x * torch.tensor([1.0, 0.1])[:, None, None]
    )
    assert torch.allclose(both, loss(y, x), rtol=1e-2)


def test_waveform_term_is_the_relative_error(noise):
    x, y = noise
    weighted = MultiResolutionSpectralLoss(waveform_weight=3.0)(y, x)
    plain = MultiResolutionSpectralLoss(waveform_weight=0.0)(y, x)
    assert torch.allclose(weighted - plain, 3 * relative_distance(y, x), rtol=1e-4)
    assert torch.allclose(relative_distance(1.5 * x, x), torch.tensor(0.5))


def test_silence_gives_finite_losses_and_gradients():
    x = torch.zeros(1, 1, 4800)
    y = (1e-3 * torch.randn(1, 1, 4800)).requires_grad_()
    loss = MultiResolutionSpectralLoss()(y, x)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(y.grad).all()


def test_a_tone_that_sinks_costs_more_with_every_decibel_of_it():
    tone = 0.2 * torch.sin(2 * torch.pi * 3000 / 24000 * torch.arange(9600))[None, None]
    plain, peaks = MultiResolutionSpectralLoss(), MultiResolutionSpectralLoss(peak_weight=1.0)

    def peak_term(gain):
        return peaks(gain * tone, tone) - plain(gain * tone, tone)

    nats = torch.tensor(10.0).log()
    assert torch.allclose(peak_term(0.1), nats, rtol=0.05)
    assert torch.allclose(peak_term(0.01), 2 * nats, rtol=0.1)
