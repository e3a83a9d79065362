"""Per-band networks on MDCT bins: ConvNeXt blocks beside a linear skip projection.

A band's bins at one instant are the channels of a 1-D signal over time, as in Vocos (Siuzdak,
ICLR 2024) and ConvNeXt (Liu et al., CVPR 2022).  At equal CPU time these learn many times
faster than waveform networks, since every layer runs at 75 or 150 frames/s.

Bins are coded as band energies and normalised coefficients, as in Opus (RFC 6716, section 4.3)
and gain-shape vector quantization (Gersho and Gray, Vector Quantization and Signal Compression,
section 12.10): each group of neighbouring bins is divided by its root mean square, whose logarithm
is a channel of its own.  Loud and quiet input then look alike but for one number a group, and a
decoder's error is relative to the level.  A strided convolution, the skip projection, takes log
gains, and the normalised coefficients where they fit, into the latents and out of them; the two
are initialised as a pair of inverses, so that training begins with a transform codec, which the
blocks then improve on.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.networks.depthwise import depthwise

GAIN_FLOOR = 1e-5  # root mean square of a group below which it is silent
# Log gains of audio lie around -4; a channel of (ln g + 4) / 2 has about zero mean and unit
# variance.
GAIN_CENTRE = -4.0
GAIN_SPREAD = 2.0
MAX_LOG_GAIN = 3.0  # the bin of a full-scale sine has about 2


def group_sizes(bins: int, largest: int) -> list[int]:
    """Sizes of the fewest nearly equal groups of at most ``largest`` neighbouring bins."""
    groups = math.ceil(bins / largest)
    return [bins // groups + (i < bins % groups) for i in range(groups)]


def resampling(stride: int) -> dict[str, Any]:
    """Arguments of the convolution that leads stride * F + 1 MDCT frames to F of codes, or back.

    A frame of codes sees the MDCT frames that overlap its samples, and as many around them as
    lie evenly.
    """
    kernel_size = 2 * stride + (stride % 2 == 0)
    return {"kernel_size": kernel_size, "stride": stride, "padding": stride // 2}


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
        return self.after_depthwise(x, depthwise(x, self.depthwise))

    def after_depthwise(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Add the perceptron's view of the convolved ``y`` to the input ``x``, both (B, L, C)."""
        return x + self.scale * self.narrow(F.gelu(self.widen(self.norm(y))))


def convnext_blocks(config: GeneratorConfig) -> nn.Sequential:
    """The blocks on one side of the stride, on (B, L, spectral_channels)."""
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
        self.groups = group_sizes(bins, config.spectral_gain_bins)
        self.coded = bins + len(self.groups)
        self.embed = nn.Conv1d(self.coded + bins, width, kernel, padding=kernel // 2)
        self.blocks = convnext_blocks(config)
        self.decimate = nn.Conv1d(width, width, **resampling(stride))
        self.deep_blocks = convnext_blocks(config)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.hidden_dim)
        self.linear_path = nn.Conv1d(
            self.coded, config.hidden_dim, **resampling(stride), bias=False
        )

    def features(self, bins: torch.Tensor) -> torch.Tensor:
        """What the networks see of coefficients (B, M, bins).

        Returns:
            (B, M, coded + bins): normalised coefficients and log gains, the first ``coded``
            channels, which the skip projection takes; then every bin's own log magnitude, since
            a bin far below its group's gain is next to nothing after normalisation.
        """
        normalized, gains = [], []
        for group in bins.split(self.groups, dim=2):
            power = group.square().mean(2, keepdim=True)
            gain = power.clamp(min=GAIN_FLOOR**2).sqrt()
            normalized.append(group / gain)
            gains.append(_log_gain(gain))
        return torch.cat([*normalized, *gains, _log_gain(bins.abs().clamp(min=GAIN_FLOOR))], dim=2)

    def forward(self, bins: torch.Tensor) -> torch.Tensor:
        features = self.features(bins.transpose(1, 2)).transpose(1, 2)
        x = self.blocks(self.embed(features).transpose(1, 2))
        x = self.deep_blocks(self.decimate(x.transpose(1, 2)).transpose(1, 2))
        return self.project(self.norm(x)).transpose(1, 2) + self.linear_path(
            features[:, : self.coded]
        )


def _log_gain(gain: torch.Tensor) -> torch.Tensor:
    return (gain.log() - GAIN_CENTRE) / GAIN_SPREAD


class SpectralDecoder(nn.Module):
    """Latents (B, hidden_dim, F) to MDCT coefficients (B, bins, stride * F + 1)."""

    def __init__(self, config: GeneratorConfig, bins: int) -> None:
        super().__init__()
        width, kernel = config.spectral_channels, config.spectral_kernel_size
        stride = config.spectral_stride
        self.bins = bins
        self.groups = group_sizes(bins, config.spectral_gain_bins)
        self.embed = nn.Conv1d(config.hidden_dim, width, kernel, padding=kernel // 2)
        self.embed_norm = nn.LayerNorm(width)
        self.deep_blocks = convnext_blocks(config)
        self.interpolate = nn.ConvTranspose1d(width, width, **resampling(stride))
        self.blocks = convnext_blocks(config)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 2 * bins)
        self.linear_path = nn.ConvTranspose1d(
            config.hidden_dim, bins + len(self.groups), **resampling(stride), bias=False
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.deep_blocks(self.embed_norm(self.embed(latents).transpose(1, 2)))
        x = self.project(
            self.norm(self.blocks(self.interpolate(x.transpose(1, 2)).transpose(1, 2)))
        )
        return self.coefficients(x, self.linear_path(latents).transpose(1, 2)).transpose(1, 2)

    def coefficients(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Normalised coefficients times gains, (B, M, bins).

        Args:
            x: (B, M, 2 * bins) of the blocks, a coefficient and a log gain for every bin.
            skip: (B, M, bins + groups) of the skip projection, a log gain for every group.
        """
        normalized = x[..., : self.bins] + skip[..., : self.bins]
        gains = skip[..., self.bins :].split(1, dim=2)
        sizes = zip(gains, self.groups, strict=True)
        gains = torch.cat([gain.expand(-1, -1, size) for gain, size in sizes], dim=2)
        log_gain = x[..., self.bins :] + gains * GAIN_SPREAD + GAIN_CENTRE
        return normalized * log_gain.clamp(max=MAX_LOG_GAIN).exp()


@torch.no_grad()
def init_as_inverses(encoder: SpectralEncoder, decoder: SpectralDecoder) -> None:
    """Initialise the two skip projections as inverses of one another.

    Every gain and, if all of one frame fit, every normalised coefficient gets a random direction
    of its own in the latents.  A gain moves its whole group, so its direction is as much longer
    as an error in it costs more.  What the networks add begins small beside that.
    """
    if encoder.linear_path.weight.is_meta:  # only its shapes are wanted
        return
    hidden, features, taps = encoder.linear_path.weight.shape
    (stride,), first = encoder.linear_path.stride, int(encoder.linear_path.padding[0])
    bins, groups = sum(encoder.groups), encoder.groups
    lengths = [GAIN_SPREAD * math.sqrt(size) for size in groups]
    chosen = list(range(bins, features))
    if stride * features <= hidden:
        chosen, lengths = list(range(features)), [1.0] * bins + lengths
    if stride * len(chosen) > hidden:
        return
    directions = torch.linalg.qr(torch.randn(hidden, stride * len(chosen)))[0]
    directions = directions.reshape(hidden, len(chosen), stride)
    length = torch.tensor(lengths)[None, :, None]
    encoder.linear_path.weight.zero_()
    decoder.linear_path.weight.zero_()
    # the taps that fall on the frame's own hops
    encoder.linear_path.weight[:, chosen, first : first + stride] = directions * length
    decoder.linear_path.weight[:, chosen, first : first + stride] = directions / length
    encoder.project.weight.mul_(0.1)
    decoder.project.weight[bins:].mul_(0.1)
