"""The codec as two modules that ONNX has operators for: audio to codes, and codes to audio.

Lapped transforms are matrix products of neighbouring hops, and the search for codes is one product
and an argmax: nothing here loops over a length, so that the graphs take any.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank
from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator
from espnet2.gan_codec.bscodec.model.quantizers import BandSimVQ


class EncoderGraph(nn.Module):
    """Audio (B, T) float32, T >= 1, to codes (B, N, F) int64, F = ceil(T / hop_length)."""

    def __init__(self, generator: BSCodecGenerator) -> None:
        super().__init__()
        self.analysis = _analysis(generator)
        self.encoders = generator.encoders
        self.search = nn.ModuleList(NearestCodes(layer) for layer in generator.quantizer.layers)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        bands = self.analysis(audio)
        triples = zip(self.encoders, self.search, bands, strict=True)
        return torch.stack([search(encoder(band)) for encoder, search, band in triples], dim=1)


class DecoderGraph(nn.Module):
    """Codes (B, N, F) int64 to audio (B, F * hop_length) float32."""

    def __init__(self, generator: BSCodecGenerator) -> None:
        super().__init__()
        self.quantizer = generator.quantizer
        self.decoders = generator.decoders
        self.filterbank = generator.filterbank

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        latents = self.quantizer.decode(codes)
        bands = [decoder(x) for decoder, x in zip(self.decoders, latents, strict=True)]
        return self.filterbank.synthesis(bands).squeeze(1)


class NearestCodes(nn.Module):
    """Nearest codes of latents (B, D, F) among all of a band's: (B, F) int64.

    In 32-bit floats, so that a tie to the last digits may be broken another way than by
    ``SimVQ.encode``.
    """

    codebook: torch.Tensor
    half_norms: torch.Tensor
    weight: torch.Tensor

    def __init__(self, layer) -> None:
        super().__init__()
        self.register_buffer("weight", layer.code_transform.weight.detach())
        self.register_buffer("codebook", layer.frozen_codebook.t().contiguous())
        self.register_buffer("half_norms", layer.eval()._cached_half_norms())

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        queries = latents.transpose(1, 2) @ self.weight  # (B, F, d)
        return (queries @ self.codebook - self.half_norms).argmax(dim=2)


class MDCTAnalysis(nn.Module):
    """``MDCTFilterbank.analysis`` of audio (B, T)."""

    basis: torch.Tensor

    def __init__(self, filterbank: MDCTFilterbank) -> None:
        super().__init__()
        self.hop, self.frame_hops = filterbank.hop, filterbank.frame_hops
        self.sizes = filterbank.channels
        self.register_buffer("basis", filterbank.basis.t().contiguous())

    def forward(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        frame = self.frame_hops * self.hop
        length = audio.shape[1]
        padded = (length + frame - 1) // frame * frame
        x = F.pad(audio, (self.hop, padded - length + self.hop))
        hops = x.reshape(x.shape[0], -1, self.hop)
        bins = torch.cat([hops[:, :-1], hops[:, 1:]], dim=2) @ self.basis
        return bins.transpose(1, 2).split(self.sizes, dim=1)


def _analysis(generator: BSCodecGenerator) -> nn.Module:
    assert isinstance(generator.filterbank, MDCTFilterbank)
    assert isinstance(generator.quantizer, BandSimVQ)
    return MDCTAnalysis(generator.filterbank)
