"""Per-band networks on MDCT bins: ConvNeXt blocks at the frame rate.

A band's bins at one instant are the channels of a 1-D signal over time, as in Vocos (Siuzdak,
ICLR 2024) and ConvNeXt (Liu et al., CVPR 2022).  At equal CPU time these learn many times
faster than waveform networks, since every layer runs at 75 or 150 frames/s.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.config import GeneratorConfig


def compress(bins: torch.Tensor) -> torch.Tensor:
    """Square-root companding: evens out the range of the coefficients."""
    return bins.sign() * bins.abs().sqrt()


def expand(bins: torch.Tensor) -> torch.Tensor:
    """Inverse of :func:`compress`."""
    return bins * bins.abs()


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm and a two-layer perceptron, added to the input.

    Works on (B, L, C).
    """

    def __init__(self, channels: int, kernel_size: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.narrow(F.gelu(self.widen(self.norm(y))))
        return x + self.scale * y


def _blocks(config: GeneratorConfig) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConvNeXtBlock(
                config.spectral_channels, config.spectral_kernel_size, config.spectral_expansion
            )
            for _ in range(config.spectral_blocks)
        )
    )


class SpectralEncoder(nn.Module):
    """(B, bins, M) MDCT coefficients to latents (B, hidden_dim, F), M = stride * F + 1."""

    def __init__(self, config: GeneratorConfig, bins: int) -> None:
        super().__init__()
        width, kernel = config.spectral_channels, config.spectral_kernel_size
        stride = config.spectral_stride
        self.embed = nn.Conv1d(bins, width, kernel, padding=kernel // 2)
        self.blocks = _blocks(config)
        self.decimate = nn.Conv1d(width, width, 2 * stride + 1, stride, padding=stride // 2)
        self.deep_blocks = _blocks(config)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.hidden_dim)

    def forward(self, bins: torch.Tensor) -> torch.Tensor:
        x = self.embed(compress(bins)).transpose(1, 2)
        x = self.blocks(x)
        x = self.decimate(x.transpose(1, 2)).transpose(1, 2)
        x = self.deep_blocks(x)
        return self.project(self.norm(x)).transpose(1, 2)


class SpectralDecoder(nn.Module):
    """Latents (B, hidden_dim, F) to MDCT coefficients (B, bins, stride * F + 1)."""

    def __init__(self, config: GeneratorConfig, bins: int) -> None:
        super().__init__()
        width, kernel = config.spectral_channels, config.spectral_kernel_size
        stride = config.spectral_stride
        self.embed = nn.Conv1d(config.hidden_dim, width, kernel, padding=kernel // 2)
        self.deep_blocks = _blocks(config)
        self.interpolate = nn.ConvTranspose1d(
            width, width, 2 * stride + 1, stride, padding=stride // 2
        )
        self.blocks = _blocks(config)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, bins)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.embed(latents).transpose(1, 2)
        x = self.deep_blocks(x)
        x = self.interpolate(x.transpose(1, 2)).transpose(1, 2)
        x = self.blocks(x)
        return expand(self.project(self.norm(x))).transpose(1, 2)
