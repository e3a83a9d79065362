"""The published band split: masks on an STFT, every band back at the full rate.

Source: BSCodec (arXiv 2511.06150), section 2, and the released configs.  n_fft 2048, hop 1024,
symmetric Hann window, centred frames with reflection.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.precision import in_float32

N_FFT = 2048
HOP = N_FFT // 2

# The last (T mod 1024) samples lie under one frame only, whose window fades to nothing.  Up to
# this residue the published inverse is healthy and is kept to the bit; beyond it, it divides by
# a vanishing window (at 1023 it fails), and the audio is reflected up to one more frame.
LAST_HEALTHY_RESIDUE = 900


class STFTFilterbank(nn.Module):
    """Split audio into bands of the same rate and length; the bands sum to the audio.

    Band ``i`` keeps the bins with low <= f < high, where bin k lies at k * rate / 2048.

    Args:
        bands: (low, high) edges in Hz, lowest band first.
        sampling_rate: in Hz.
        drop_nyquist: leave out the bin at rate / 2, as the published models do.  The sum of
            the bands then misses that bin; with ``False`` the last band holds it.
    """

    masks: torch.Tensor
    window: torch.Tensor

    def __init__(
        self,
        bands: Sequence[tuple[float, float]],
        sampling_rate: int,
        drop_nyquist: bool = True,
    ) -> None:
        super().__init__()
        # on the CPU whatever device is set, as in mdct.py
        bins = torch.arange(HOP + 1, dtype=torch.float64, device="cpu")
        frequency = bins * sampling_rate / N_FFT
        masks = torch.stack([(frequency >= low) & (frequency < high) for low, high in bands])
        if not drop_nyquist:
            masks[-1, -1] = True
        # not persistent: published checkpoints hold neither
        self.register_buffer("masks", masks.float(), persistent=False)
        window = torch.hann_window(N_FFT, periodic=False, device="cpu")
        self.register_buffer("window", window, persistent=False)

    @property
    def channels(self) -> list[int]:
        """Channels of each band's signal: one waveform."""
        return [1] * len(self.masks)

    @in_float32
    def analysis(self, audio: torch.Tensor) -> list[torch.Tensor]:
        """Split ``audio`` (B, 1, T), T >= 1, into one (B, 1, T) waveform a band."""
        length = audio.shape[-1]
        x = audio.squeeze(1)
        if length <= HOP:
            x = F.pad(x, (0, HOP + 1 - length))  # centred frames need more than half a window
        elif length % HOP > LAST_HEALTHY_RESIDUE:
            x = F.pad(x.unsqueeze(1), (0, -length % HOP), mode="reflect").squeeze(1)
        spectrum = torch.stft(
            x, N_FFT, HOP, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        banded = spectrum.unsqueeze(1) * self.masks[:, :, None]  # (B, N, bins, frames)
        waves = torch.istft(
            banded.flatten(0, 1), N_FFT, HOP, window=self.window, center=True, length=x.shape[-1]
        )
        waves = waves.view(x.shape[0], len(self.masks), -1)[..., :length]
        return list(waves.split(1, dim=1))

    @in_float32
    def synthesis(self, bands: Sequence[torch.Tensor]) -> torch.Tensor:
        """Sum the (B, 1, T) bands to audio (B, 1, T)."""
        return torch.stack(list(bands)).sum(dim=0)

    @in_float32
    def waveforms(self, bands: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Each band as audio of its own (B, 1, T): what the band already is."""
        return list(bands)
