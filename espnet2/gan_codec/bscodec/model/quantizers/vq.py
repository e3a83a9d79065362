"""Band-wise VQ: ESPnet's Euclidean codebook (k-means start, EMA, dead-code renewal) a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.quantizers.search import nearest_codes
from espnet2.gan_codec.shared.quantizer.modules.core_vq import VectorQuantization

EMA_DECAY = 0.99
KMEANS_ITERATIONS = 50
DEAD_CODE_THRESHOLD = 2


def vector_quantization(dim: int, size: int, codebook_dim: int, threshold: float):
    """ESPnet's quantizer of ``size`` codes, set up as the published models have it."""
    return VectorQuantization(
        dim=dim,
        codebook_size=size,
        codebook_dim=codebook_dim,
        decay=EMA_DECAY,
        kmeans_init=True,
        kmeans_iters=KMEANS_ITERATIONS,
        threshold_ema_dead_code=threshold,
    )


def quantize(
    layer: VectorQuantization, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Let a layer's codebook quantize, and in training learn from, vectors (B, F, d).

    Returns:
        quantized (B, F, d) without gradient, codes (B, F), and the commitment loss, which is 0
        outside of training, as ESPnet's quantizer has it.
    """
    quantized, indices = layer._codebook(x)
    quantized = quantized.detach()
    return quantized, indices, F.mse_loss(x, quantized) if layer.training else x.new_zeros(())


def search(layer: VectorQuantization, x: torch.Tensor) -> torch.Tensor:
    """Nearest codes (B, F) of vectors (B, F, d) in a layer's codebook."""
    codebook = layer.codebook
    frames = x.reshape(-1, x.shape[-1])
    return nearest_codes(frames, codebook, codebook.pow(2).sum(1) / 2).view(x.shape[:-1])


class BandVQ(nn.Module):
    """One Euclidean vector quantizer a band.

    Args:
        codebook_sizes: codes of each band, lowest band first.
        codebook_dim: dimension of the codebooks; if it is not ``dim``, linear projections
            stand on both sides of each.
        dim: dimension of the latents.
        threshold: a code that was used by fewer frames a step on average is replaced.
    """

    def __init__(
        self,
        codebook_sizes: Sequence[int],
        codebook_dim: int,
        dim: int,
        threshold: float = DEAD_CODE_THRESHOLD,
    ) -> None:
        super().__init__()
        layers = [
            vector_quantization(dim, size, codebook_dim, threshold) for size in codebook_sizes
        ]
        # ModuleDict only for the published state-dict names, quantizer.vq.layers.<i>
        self.vq = nn.ModuleDict({"layers": nn.ModuleList(layers)})

    @property
    def layers(self) -> Any:
        """The bands' quantizers, lowest band first."""
        return self.vq["layers"]

    def _quantize(
        self, layer: VectorQuantization, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One band: (B, D, F) to quantized (B, D, F), codes (B, F) and commitment loss."""
        projected = layer.project_in(x.transpose(1, 2))
        quantized, indices, commitment = quantize(layer, projected)
        # straight through the codebook alone, so that project_out is trained too
        quantized = projected + (quantized - projected).detach()
        return layer.project_out(quantized).transpose(1, 2), indices, commitment

    @in_float32
    def forward(
        self, latents: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Quantize each band's (B, D, F); the loss is the mean over bands."""
        outputs = [self._quantize(layer, x) for layer, x in zip(self.layers, latents, strict=True)]
        quantized, codes, losses = zip(*outputs, strict=True)
        return list(quantized), list(codes), torch.stack(losses).mean()

    @in_float32
    def encode(self, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        """Latents of the lowest bands, (B, D, F) each, to codes (B, N, F) int64."""
        codes = [
            search(layer, layer.project_in(x.transpose(1, 2)))
            for layer, x in zip(self.layers, latents, strict=False)
        ]
        return torch.stack(codes, dim=1)

    @in_float32
    def decode(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """Codes (B, N, F) of the lowest N bands to latents (B, D, F), one a band."""
        return [
            layer.decode(c) for layer, c in zip(self.layers, codes.unbind(dim=1), strict=False)
        ]
