"""Depthwise convolution of signals (B, L, C), channels last, as a sum of shifted products.

A depthwise kernel has so few taps that each is one multiplication of the whole signal.  On a CPU
that takes a third of the time of ``Conv1d`` forward and backward, and nothing is transposed; the
order of the sum is the same for signals of any length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def depthwise(x: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
    """Return ``conv`` (groups = channels, stride 1, odd kernel) of x, channels last.

    Args:
        x: (B, L, C), with ``conv.padding`` zeros at both ends to come.
        conv: the module that has the weights.

    Returns:
        (B, L, C).
    """
    padding = int(conv.padding[0])
    return convolve_valid(F.pad(x, (0, 0, padding, padding)), conv)


def convolve_valid(x: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
    """Return ``conv`` without its padding: (B, L + K - 1, C), L >= 0, to (B, L, C)."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, groups=conv.groups).transpose(
            1, 2
        )
    dtype = conv.weight.dtype  # under autocast too: there is little to win and much to round
    if not torch.is_grad_enabled():
        return shifted_sum(x.to(dtype), _taps(conv.weight), conv.bias)
    return _Depthwise.apply(x.to(dtype), conv.weight, conv.bias)


class _Depthwise(torch.autograd.Function):
    """Of a padded signal (B, L + K - 1, C): (B, L, C)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return shifted_sum(x, _taps(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, weight = ctx.saved_tensors
        taps, length = _taps(weight), grad.shape[1]
        reach = len(taps) - 1
        grad_x = shifted_sum(F.pad(grad, (0, 0, reach, reach)), taps.flip(0))
        products = [(grad * x[:, k : k + length]).sum((0, 1)) for k in range(len(taps))]
        return grad_x, torch.stack(products, 1).view_as(weight), grad.sum((0, 1))


def shifted_sum(
    x: torch.Tensor, taps: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Correlate a signal (B, L + K - 1, C) with taps (K, C): (B, L, C)."""
    length = x.shape[1] - len(taps) + 1
    first = x[:, :length]
    total = first * taps[0] if bias is None else torch.addcmul(bias, first, taps[0])
    for k in range(1, len(taps)):
        total.addcmul_(x[:, k : k + length], taps[k])
    return total


def _taps(weight: torch.Tensor) -> torch.Tensor:
    """The weight (C, 1, K) of a ``Conv1d`` as (K, C)."""
    return weight.detach().squeeze(1).t().contiguous()
