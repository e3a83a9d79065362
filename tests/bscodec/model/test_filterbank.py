"""The bands sum to the audio, at every length, for both filterbanks."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.filterbank.mdct import MDCTFilterbank, mdct_basis
from espnet2.gan_codec.bscodec.model.filterbank.stft import STFTFilterbank

RATE = 24000
BANDS = [(0, 2000), (2000, 4000), (4000, 12000)]
LENGTHS = [1, 2, 319, 320, 321, 1023, 1024, 1025, 1100, 1924, 1925, 2046, 2047, 2048, 4095, 9999]


def noise(length, batch=2):
    return torch.randn(batch, 1, length, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("length", LENGTHS)
def test_stft_bands_sum_to_the_audio(length):
    bank = STFTFilterbank(BANDS, RATE, drop_nyquist=False)
    audio = noise(length)
    bands = bank.analysis(audio)
    assert [b.shape for b in bands] == [audio.shape] * 3
    assert (bank.synthesis(bands) - audio).abs().max() < 1e-4


def test_stft_leaves_out_only_the_nyquist_bin():
    published, ours = (STFTFilterbank(BANDS, RATE, drop_nyquist=d) for d in (True, False))
    audio = noise(4096)
    nyquist = torch.tensor([1.0, -1.0]).repeat(2048).view(1, 1, -1)
    middle = slice(1024, 3072)
    whole, partial = (bank.synthesis(bank.analysis(audio)) for bank in (ours, published))
    spectrum = torch.fft.rfft((whole - partial)[..., middle]).abs()
    assert (spectrum[..., -1] > 100 * spectrum[..., :-64].amax(-1)).all()
    # the alternating sequence leaks into the neighbouring bin, which both keep
    assert published.synthesis(published.analysis(nyquist))[..., middle].abs().max() < 0.6
    assert (ours.synthesis(ours.analysis(nyquist)) - nyquist)[..., middle].abs().max() < 1e-5


@pytest.mark.parametrize("residue", [901, 948, 1018, 1022, 1023])
def test_published_split_stays_bounded_at_the_tail(residue):
    """Where the published inverse divides by a vanishing window, one more frame is analysed."""
    audio = noise(4 * 1024 + residue)
    bands = STFTFilterbank(BANDS, RATE).analysis(audio)
    assert max(b.abs().max() for b in bands) < 2 * audio.abs().max()


def test_stft_bands_hold_their_frequencies():
    bank = STFTFilterbank(BANDS, RATE)
    time = torch.arange(24000) / RATE
    for band, frequency in enumerate([1000, 3000, 7000]):
        tone = torch.sin(2 * torch.pi * frequency * time).view(1, 1, -1)
        energy = torch.stack([b[..., 2048:-2048].square().sum() for b in bank.analysis(tone)])
        assert energy[band] > 0.9999 * energy.sum()


def test_mdct_basis_is_orthonormal():
    basis = mdct_basis(16).double()
    first, second = basis[:, :16], basis[:, 16:]
    identity = torch.eye(16, dtype=torch.float64)
    assert torch.allclose(first @ first.t() + second @ second.t(), identity, atol=1e-6)
    assert torch.allclose(first @ second.t(), torch.zeros_like(identity), atol=1e-6)


@pytest.mark.parametrize("length", LENGTHS)
def test_mdct_is_exact_and_its_waveforms_sum(length):
    bank = MDCTFilterbank([(0, 1200), (1200, 12000)], RATE, hop=160, frame_hops=2)
    audio = noise(length)
    bands = bank.analysis(audio)
    frames = 2 * -(-length // 320) + 1
    assert [tuple(b.shape) for b in bands] == [(2, 16, frames), (2, 144, frames)]
    merged = bank.synthesis(bands)
    assert merged.shape[-1] == 320 * -(-length // 320)
    assert (merged[..., :length] - audio).abs().max() < 1e-5
    assert torch.allclose(sum(bank.waveforms(bands)), merged, atol=1e-5)
    lowest = bank.synthesis(bands[:1])
    assert torch.allclose(lowest, bank.waveforms(bands[:1])[0], atol=1e-6)
