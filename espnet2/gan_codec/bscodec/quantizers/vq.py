"""Band-wise VQ: ESPnet's Euclidean codebook (k-means start, EMA, dead-code renewal) a band."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.precision import in_float32
from espnet2.gan_codec.bscodec.quantizers.search import nearest_codes
from espnet2.gan_codec.shared.quantizer.modules.core_vq import VectorQuantization

EMA_DECAY = 0.99
KMEANS_ITERATIONS = 50
DEAD_CODE_THRESHOLD = 2


class BandVQ(nn.Module):
    """One Euclidean vector quantizer a band.

    Args:
        codebook_sizes: codes of each band, lowest band first.
        codebook_dim: dimension of the codebooks; if it is not ``dim``, linear projections
            stand on both sides of each.
        dim: dimension of the latents.
    """

    def __init__(self, codebook_sizes: Sequence[int], codebook_dim: int, dim: int) -> None:
        super().__init__()
        layers = [
            VectorQuantization(
                dim=dim,
                codebook_size=size,
                codebook_dim=codebook_dim,
                decay=EMA_DECAY,
                kmeans_init=True,
                kmeans_iters=KMEANS_ITERATIONS,
                threshold_ema_dead_code=DEAD_CODE_THRESHOLD,
            )
            for size in codebook_sizes
        ]
        # ModuleDict only for the published state-dict names, quantizer.vq.layers.<i>
        self.vq = nn.ModuleDict({"layers": nn.ModuleList(layers)})

    @property
    def layers(self) -> nn.ModuleList:
        return self.vq["layers"]

    def _quantize(
        self, layer: VectorQuantization, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One band: (B, D, F) to quantized (B, D, F), codes (B, F) and commitment loss.

        The loss is 0 outside of training, as ESPnet's quantizer has it.
        """
        projected = layer.project_in(x.transpose(1, 2))
        quantized, indices = layer._codebook(projected)
        commitment = projected.new_zeros(())
        if self.training:
            commitment = F.mse_loss(projected, quantized.detach())
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
        codes = []
        for layer, x in zip(self.layers, latents, strict=False):
            projected = layer.project_in(x.transpose(1, 2))
            embed = layer.codebook
            frames = projected.reshape(-1, projected.shape[-1])
            indices = nearest_codes(frames, embed, embed.pow(2).sum(1) / 2)
            codes.append(indices.view(projected.shape[:-1]))
        return torch.stack(codes, dim=1)

    @in_float32
    def decode(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """Codes (B, N, F) of the lowest N bands to latents (B, D, F), one a band."""
        return [
            layer.decode(c) for layer, c in zip(self.layers, codes.unbind(dim=1), strict=False)
        ]
