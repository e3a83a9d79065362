"""The filterbanks as streams: audio (B, 1, n) to all bands (B, channels, m) and back."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.stream import Stream
from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank, STFTFilterbank
from espnet2.gan_codec.bscodec.model.filterbank.stft import HOP, LAST_HEALTHY_RESIDUE, N_FFT


def analysis_stream(filterbank: STFTFilterbank | MDCTFilterbank, batch: int, bands: int) -> Stream:
    """Stream of ``filterbank.analysis`` for the lowest ``bands``, their channels stacked."""
    if isinstance(filterbank, MDCTFilterbank):
        return MDCTAnalysis(filterbank, batch, bands)
    return STFTAnalysis(filterbank, batch, bands)


def synthesis_stream(
    filterbank: STFTFilterbank | MDCTFilterbank, batch: int, bands: int
) -> Stream:
    """Stream of ``filterbank.synthesis`` for the lowest ``bands``, their channels stacked."""
    if isinstance(filterbank, MDCTFilterbank):
        return MDCTSynthesis(filterbank, batch, bands)
    return BandSum()


class STFTAnalysis(Stream):
    """Waveform to bands of the same rate, in blocks of one hop (1024 samples).

    Block b lies under frames b and b + 1, and the second reaches up to sample (b + 2) * 1024:
    once that many are in, the block is determined, whatever follows.  The blocks that the end of
    the signal can still change, at most two, come with it.
    """

    state_keys = ("buffer", "overlap", "num_samples_in", "num_samples_out")

    def __init__(self, filterbank: STFTFilterbank, batch: int, bands: int) -> None:
        self.masks = filterbank.masks[:bands, None]
        self.window = filterbank.window
        # from one sample (for the reflection at the end) before the next frame
        self.buffer = self.window.new_zeros(batch, 0)
        self.overlap: torch.Tensor | None = None  # (B, N, 1024), second half of the last frame
        self.num_samples_in = self.num_samples_out = 0

    def inputs_for(self, outputs: int) -> int:
        return (-(-outputs // HOP) + 1) * HOP

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        self.buffer = torch.cat([self.buffer, x.squeeze(1)], dim=1)
        self.num_samples_in += x.shape[-1]
        if (
            self.overlap is None
            and self.num_samples_in >= N_FFT
            or last
            and not self.num_samples_out
        ):
            self.buffer = F.pad(self._start(self.buffer), (1, 0))
        elif self.overlap is None:
            return x.new_zeros(len(x), len(self.masks), 0)
        if last:
            self.buffer = self._end(self.buffer)
        bands = self._bands((self.buffer.shape[1] - 1) // HOP - 1, last)
        self.num_samples_out += bands.shape[-1]
        return bands

    def _start(self, x: torch.Tensor) -> torch.Tensor:
        if self.num_samples_in <= HOP:
            x = F.pad(x, (0, HOP + 1 - self.num_samples_in))
        return F.pad(x, (HOP, 0), mode="reflect")

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        """Extend the signal as the filterbank does: to a whole hop if need be, and by a hop."""
        if self.num_samples_in > HOP and self.num_samples_in % HOP > LAST_HEALTHY_RESIDUE:
            x = F.pad(x, (0, -self.num_samples_in % HOP), mode="reflect")
        return F.pad(x, (0, HOP), mode="reflect")

    def _bands(self, frames: int, last: bool) -> torch.Tensor:
        """Overlap-add the next frames of the buffer: (B, N, m)."""
        if frames < 1:
            return self.buffer.new_zeros(len(self.buffer), len(self.masks), 0)
        x = self.buffer[:, 1:].unfold(1, N_FFT, HOP)
        self.buffer = self.buffer[:, frames * HOP :].clone()
        spectrum = torch.fft.rfft(x * self.window).unsqueeze(1) * self.masks
        waves = torch.fft.irfft(spectrum, N_FFT) * self.window  # (B, N, frames, 2048)
        rising, falling = waves.split(HOP, dim=-1)
        if self.overlap is not None:
            falling = torch.cat([self.overlap.unsqueeze(2), falling], dim=2)
        else:
            rising = rising[:, :, 1:]
        self.overlap = falling[:, :, -1].clone()
        weight = self.window.square()
        blocks = (falling[:, :, :-1] + rising) / (weight[:HOP] + weight[HOP:])
        bands = blocks.flatten(2)
        if not last:
            return bands
        tail = self.overlap[..., :LAST_HEALTHY_RESIDUE] / weight[HOP:][:LAST_HEALTHY_RESIDUE]
        return torch.cat([bands, tail], dim=2)[..., : self.num_samples_in - self.num_samples_out]


class BandSum(Stream):
    """Bands of the full rate to their sum: (B, N, n) to (B, 1, n)."""

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        return x.sum(dim=1, keepdim=True)


class MDCTAnalysis(Stream):
    """Waveform to MDCT bins: (B, 1, n) samples to (B, bins, m) frames."""

    state_keys = ("buffer", "num_samples_in")

    def __init__(self, filterbank: MDCTFilterbank, batch: int, bands: int) -> None:
        self.hop = filterbank.hop
        self.frame = filterbank.hop * filterbank.frame_hops
        self.basis = filterbank.basis[: filterbank.edges[bands - 1][1]]
        self.buffer = self.basis.new_zeros(batch, self.hop)  # before the signal there is silence
        self.num_samples_in = 0

    def inputs_for(self, outputs: int) -> int:
        return outputs * self.hop

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        self.num_samples_in += x.shape[-1]
        tail = -self.num_samples_in % self.frame + self.hop if last else 0
        buffer = F.pad(torch.cat([self.buffer, x.squeeze(1)], dim=1), (0, tail))
        frames = max(0, buffer.shape[1] // self.hop - 1)
        self.buffer = buffer[:, frames * self.hop :].clone()
        if not frames:
            return x.new_zeros(len(x), len(self.basis), 0)
        return (buffer.unfold(1, 2 * self.hop, self.hop) @ self.basis.t()).transpose(1, 2)


class MDCTSynthesis(Stream):
    """MDCT bins of the lowest bands to their audio: (B, bins, n) frames to (B, 1, m) samples."""

    state_keys = ("overlap",)

    def __init__(self, filterbank: MDCTFilterbank, batch: int, bands: int) -> None:
        self.hop = filterbank.hop
        self.basis = filterbank.basis[: filterbank.edges[bands - 1][1]]
        self.overlap = self.basis.new_zeros(batch, 0, self.hop)  # one row after the first frame

    def inputs_for(self, outputs: int) -> int:
        return -(-outputs // self.hop) + 1

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        rising, falling = (x.transpose(1, 2) @ self.basis).split(self.hop, dim=2)
        falling = torch.cat([self.overlap, falling], dim=1)
        self.overlap = falling[:, -1:].clone()
        first = rising.shape[1] - (falling.shape[1] - 1)  # 1 in the very first chunk, then 0
        return (falling[:, :-1] + rising[:, first:]).flatten(1).unsqueeze(1)
