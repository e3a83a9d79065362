"""The codec as two modules that ONNX has operators for: audio to codes, and codes to audio.

Lapped transforms are matrix products of neighbouring hops, and the search for codes is a product
and an argmax: nothing here loops over a length, so that the graphs take any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.onnx_seanet import graph_form
from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank, STFTFilterbank
from espnet2.gan_codec.bscodec.model.filterbank.stft import HOP, LAST_HEALTHY_RESIDUE, N_FFT
from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator
from espnet2.gan_codec.bscodec.model.quantizers import BandSimVQ, BandVQ, Quantizer


class EncoderGraph(nn.Module):
    """Audio (B, T) float32, T >= 1, to codes (B, N, F) int64, F = ceil(T / hop_length)."""

    def __init__(self, generator: BSCodecGenerator) -> None:
        super().__init__()
        filterbank = generator.filterbank
        self.analysis: MDCTAnalysis | STFTAnalysis
        if isinstance(filterbank, MDCTFilterbank):
            self.analysis = MDCTAnalysis(filterbank)
        else:
            self.analysis = STFTAnalysis(filterbank)
        self.encoders = nn.ModuleList(map(graph_form, generator.encoders))
        self.search = Search(generator.quantizer)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        bands = self.analysis(audio)
        return self.search([encoder(x) for encoder, x in zip(self.encoders, bands, strict=True)])


class DecoderGraph(nn.Module):
    """Codes (B, N, F) int64 to audio (B, F * hop_length) float32."""

    def __init__(self, generator: BSCodecGenerator) -> None:
        super().__init__()
        self.quantizer = generator.quantizer
        self.decoders = nn.ModuleList(map(graph_form, generator.decoders))
        self.filterbank = generator.filterbank

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        latents = self.quantizer.decode(codes)
        bands = [decoder(x) for decoder, x in zip(self.decoders, latents, strict=True)]
        return self.filterbank.synthesis(bands).squeeze(1)


class Search(nn.Module):
    """Latents (B, D, F) of all bands to codes (B, N, F) int64, as the quantizer's ``encode``.

    In 32-bit floats, so that a tie to the last digits may be broken another way.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.is_residual = not isinstance(quantizer, (BandSimVQ, BandVQ))
        if isinstance(quantizer, BandSimVQ):
            projections: list[Any] = [
                Projection(layer.code_transform.weight) for layer in quantizer.layers
            ]
            norms = [layer.eval()._cached_half_norms() for layer in quantizer.layers]
            codebooks = [layer.frozen_codebook for layer in quantizer.layers]
        else:
            codebooks = [layer.codebook for layer in quantizer.layers]
            norms = [codebook.pow(2).sum(1) / 2 for codebook in codebooks]
            projections = (
                [quantizer.project_in]
                if self.is_residual
                else [layer.project_in for layer in quantizer.layers]
            )
        self.projections = nn.ModuleList(projections)
        self.layers: Any = nn.ModuleList(map(NearestCodes, codebooks, norms))

    def forward(self, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        pairs = zip(self.projections, latents, strict=True)
        queries = [project(x.transpose(1, 2)) for project, x in pairs]
        if not self.is_residual:
            found = [layer(x) for layer, x in zip(self.layers, queries, strict=True)]
            return torch.stack(found, dim=1)
        (residual,), found = queries, []
        for layer in self.layers:
            found.append(layer(residual))
            residual = residual - F.embedding(found[-1], layer.codebook.t())
        return torch.stack(found, dim=1)


class Projection(nn.Module):
    """Latents (B, F, D) times SimVQ's map W (D, d)."""

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


class NearestCodes(nn.Module):
    """Queries (B, F, d) to their nearest codes (B, F) int64, among all K at once."""

    codebook: torch.Tensor
    half_norms: torch.Tensor

    def __init__(self, codebook: torch.Tensor, half_norms: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codebook", codebook.detach().t().contiguous())
        self.register_buffer("half_norms", half_norms.detach())

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        return (queries @ self.codebook - self.half_norms).argmax(dim=2)


class MDCTAnalysis(nn.Module):
    """``MDCTFilterbank.analysis`` of audio (B, T)."""

    basis: torch.Tensor

    def __init__(self, filterbank: MDCTFilterbank) -> None:
        super().__init__()
        self.hop, self.frame_hops = filterbank.hop, filterbank.frame_hops
        self.sizes = filterbank.channels
        self.register_buffer("basis", filterbank.basis.t().contiguous())

    def forward(self, audio: torch.Tensor) -> Sequence[torch.Tensor]:
        frame = self.frame_hops * self.hop
        length = audio.shape[1]
        padded = (length + frame - 1) // frame * frame
        x = F.pad(audio, (self.hop, padded - length + self.hop))
        bins = _two_hops(x, self.hop) @ self.basis
        return bins.transpose(1, 2).split(self.sizes, dim=1)


class STFTAnalysis(nn.Module):
    """``STFTFilterbank.analysis`` of audio (B, T).

    Each band is a projection of windowed frames on the cosines and sines of its bins, and their
    windowed overlap; the ends of the signal are reflected by a gather.
    """

    forward_basis: torch.Tensor
    overlap: torch.Tensor
    tail: torch.Tensor

    def __init__(self, filterbank: STFTFilterbank) -> None:
        super().__init__()
        window = filterbank.window.double()
        n = torch.arange(N_FFT, dtype=torch.float64)
        forward, self.sizes = [], []
        self.inverses = nn.ParameterList()
        for mask in filterbank.masks:
            bins = mask.nonzero()[:, 0]
            angle = 2 * math.pi / N_FFT * (n[:, None] * bins % N_FFT)
            basis = torch.cat([angle.cos(), angle.sin()], dim=1)  # (2048, 2 bins)
            # all bins but the first and the last stand for a pair
            count = torch.where((bins == 0) | (bins == HOP), 1.0, 2.0).repeat(2)
            forward.append(window[:, None] * basis)
            self.sizes.append(basis.shape[1])
            self.inverses.append((window[:, None] * basis * count / N_FFT).t().float())
        self.register_buffer("forward_basis", torch.cat(forward, dim=1).float())
        square = window.square()
        self.register_buffer("overlap", (square[:HOP] + square[HOP:]).float())
        self.register_buffer("tail", square[HOP:].clamp(min=1e-6).float())

    def forward(self, audio: torch.Tensor) -> list[torch.Tensor]:
        length = audio.shape[1]
        frames = _two_hops(self._extended(audio), HOP) @ self.forward_basis
        pairs = zip(frames.split(self.sizes, dim=2), self.inverses, strict=True)
        return [self._added(x @ inverse)[:, None, :length] for x, inverse in pairs]

    def _extended(self, audio: torch.Tensor) -> torch.Tensor:
        """The samples under all frames: ``STFTFilterbank`` says what is put at the ends."""
        length = torch.tensor(audio.shape[1])
        residue = length % HOP
        is_short = length <= HOP
        grown = torch.where(residue > LAST_HEALTHY_RESIDUE, length + HOP - residue, length)
        end = torch.where(is_short, HOP + 1, grown)
        count: Any = (end // HOP + 2) * HOP  # a tensor of the traced length
        place = (torch.arange(count) - HOP).abs()
        for last in (end - 1, torch.where(is_short, end, length) - 1):
            place = last - (last - place).abs()
        return F.pad(audio, (0, HOP + 1)).index_select(1, place)

    def _added(self, frames: torch.Tensor) -> torch.Tensor:
        """Overlap-add frames (B, M, 2048), from the middle of the first on: (B, M * 1024)."""
        blocks = (frames[:, 1:, :HOP] + frames[:, :-1, HOP:]) / self.overlap
        return torch.cat([blocks, frames[:, -1:, HOP:] / self.tail], dim=1).flatten(1)


def _two_hops(x: torch.Tensor, hop: int) -> torch.Tensor:
    """Samples (B, n * hop) as overlapping frames (B, n - 1, 2 * hop)."""
    hops = x.reshape(x.shape[0], -1, hop)
    return torch.cat([hops[:, :-1], hops[:, 1:]], dim=2)
