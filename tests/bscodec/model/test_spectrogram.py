"""The power spectrogram with a backward of its own equals torch's, gradients too."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.spectrogram import power_spectrogram


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 64, 200])
@pytest.mark.parametrize(("size", "hop"), [(16, 4), (64, 16), (32, 32)])
def test_equals_torch(length, size, hop):
    torch.manual_seed(0)
    audio = torch.randn(3, length, dtype=torch.float64, requires_grad=True)
    window = torch.hann_window(size, dtype=torch.float64) + 0.1
    spectrum = torch.stft(
        audio, size, hop, window=window, pad_mode="constant", return_complex=True
    )
    expected = spectrum.abs().square().mT
    power = power_spectrogram(audio, window, hop)
    torch.testing.assert_close(power, expected)
    direction = torch.randn_like(power)
    gradients = [torch.autograd.grad(y, audio, direction)[0] for y in (power, expected)]
    torch.testing.assert_close(*gradients)
