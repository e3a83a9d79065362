"""Residual VQ of one band: every stage quantizes what the stages before it have left over.

Source: SoundStream (arXiv 2107.03312), algorithm 1, as EnCodec and DAC use it, with ESPnet's
Euclidean codebooks (k-means start, EMA, dead-code renewal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.quantizers.vq import (
    DEAD_CODE_THRESHOLD,
    quantize,
    search,
    vector_quantization,
)


class ResidualVQ(nn.Module):
    """Stages of vector quantizers, each of which is a stream of codes.

    The first N streams alone give a coarser latent, as the lowest N bands of the band-wise
    quantizers give fewer bands.

    Args:
        codebook_sizes: codes of each stage, the first stage first.
        codebook_dim: dimension of the codebooks; if it is not ``dim``, a linear projection
            stands before the stages and one after them.
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
        self.layers: Any = nn.ModuleList(
            vector_quantization(codebook_dim, size, codebook_dim, threshold)
            for size in codebook_sizes
        )
        projects = codebook_dim != dim
        self.project_in = nn.Linear(dim, codebook_dim) if projects else nn.Identity()
        self.project_out = nn.Linear(codebook_dim, dim) if projects else nn.Identity()

    @in_float32
    def forward(
        self, latents: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Quantize the one band's (B, D, F) with a straight-through gradient.

        Returns:
            one quantized (B, D, F), codes (B, F) of every stage, and the mean of the stages'
            commitment losses.
        """
        (x,) = latents
        projected = residual = self.project_in(x.transpose(1, 2))
        codes, losses = [], []
        for layer in self.layers:
            quantized, indices, loss = quantize(layer, residual)
            residual = residual - quantized
            codes.append(indices)
            losses.append(loss)
        # what no stage has caught is all that the sum of the stages lacks
        total = projected - residual.detach()
        return [self.project_out(total).transpose(1, 2)], codes, torch.stack(losses).mean()

    @in_float32
    def encode(self, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        """Latents (B, D, F) of the one band to codes (B, N, F) int64 of all stages."""
        (x,) = latents
        residual, codes = self.project_in(x.transpose(1, 2)), []
        for layer in self.layers:
            codes.append(search(layer, residual))
            residual = residual - layer._codebook.decode(codes[-1])
        return torch.stack(codes, dim=1)

    @in_float32
    def decode(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """Codes (B, N, F) of the first N stages to the latents (B, D, F) of the one band."""
        stages = zip(self.layers, codes.unbind(dim=1), strict=False)
        total = sum(layer._codebook.decode(c) for layer, c in stages)
        return [self.project_out(total).transpose(1, 2)]
