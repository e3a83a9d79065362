"""An exact, critically sampled band split: each band is a range of MDCT bins.

The modified discrete cosine transform with a sine window is an orthogonal lapped transform
(Princen, Johnson and Bradley, ICASSP 1987): as many coefficients as samples, and perfect
reconstruction from any partition of its bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.precision import in_float32


def mdct_basis(hop: int) -> torch.Tensor:
    """Windowed cosine basis (hop bins, 2 * hop samples) with orthonormal overlapped rows."""
    # made on the CPU whatever device is set: the same everywhere, and the meta device's
    # arithmetic would import torch's compiler, seconds of it
    n = torch.arange(2 * hop, dtype=torch.float64, device="cpu")
    k = torch.arange(hop, dtype=torch.float64, device="cpu")[:, None]
    window = torch.sin(math.pi / (2 * hop) * (n + 0.5))
    phase = math.pi / hop * (n + 0.5 + hop / 2) * (k + 0.5)
    return (math.sqrt(2 / hop) * window * torch.cos(phase)).float()


class MDCTFilterbank(nn.Module):
    """Split audio into ranges of MDCT bins.

    Audio of T samples gives M = frame_hops * ceil(T / (frame_hops * hop)) + 1 MDCT frames: an
    odd frame out, so that every sample lies under two frames and decimation by ``frame_hops``
    with a kernel of 2 * frame_hops + 1 gives ceil(T / (frame_hops * hop)) frames of codes.

    Args:
        bands: (low, high) edges in Hz, multiples of rate / (2 * hop).
        sampling_rate: in Hz.
        hop: samples between MDCT frames; also the number of bins.
        frame_hops: MDCT hops in one frame of codes.
    """

    basis: torch.Tensor

    def __init__(
        self,
        bands: Sequence[tuple[float, float]],
        sampling_rate: int,
        hop: int,
        frame_hops: int = 1,
    ) -> None:
        super().__init__()
        self.hop = hop
        self.frame_hops = frame_hops
        bin_hz = sampling_rate / (2 * hop)
        self.edges = [(round(low / bin_hz), round(high / bin_hz)) for low, high in bands]
        self.register_buffer("basis", mdct_basis(hop), persistent=False)

    @property
    def channels(self) -> list[int]:
        """Channels of each band's signal: its number of MDCT bins."""
        return [high - low for low, high in self.edges]

    @in_float32
    def analysis(self, audio: torch.Tensor) -> list[torch.Tensor]:
        """Transform ``audio`` (B, 1, T), T >= 1, to one (B, bins, M) tensor a band."""
        length = audio.shape[-1]
        frame = self.frame_hops * self.hop
        tail = -length % frame + self.hop
        x = F.pad(audio.squeeze(1), (self.hop, tail))
        frames = x.unfold(-1, 2 * self.hop, self.hop)  # (B, M, 2 hop)
        bins = (frames @ self.basis.t()).transpose(1, 2)  # (B, hop, M)
        return [bins[:, low:high] for low, high in self.edges]

    @in_float32
    def synthesis(self, bands: Sequence[torch.Tensor]) -> torch.Tensor:
        """Merge (B, bins, M) bands, the lowest ones or all, to audio (B, 1, (M - 1) * hop)."""
        bins = torch.cat(list(bands), dim=1).transpose(1, 2)
        return self._inverse(bins, self.basis[: bins.shape[-1]])

    @in_float32
    def waveforms(self, bands: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Each band as audio of its own (B, 1, (M - 1) * hop); they sum to the synthesis."""
        return [
            self._inverse(band.transpose(1, 2), self.basis[low:high])
            for band, (low, high) in zip(bands, self.edges, strict=False)
        ]

    def _inverse(self, bins: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        halves = bins @ basis  # (B, M, 2 hop): each frame overlaps half of the next
        audio = halves[:, 1:, : self.hop] + halves[:, :-1, self.hop :]
        return audio.flatten(1).unsqueeze(1)
