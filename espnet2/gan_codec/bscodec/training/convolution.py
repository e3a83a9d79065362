"""Convolutions of signals (B, T, C), channels last, and their gradients.

oneDNN's narrow convolutions run backward about twice as fast with the channels last, and one of
single samples is a matrix product then.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.products import MAX_PRODUCTS_CHANNELS_LAST, multiply


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Convolution with weight (N, C, K) of a signal that has been padded.

    Attributes:
        stride, dilation: in samples.
        left, right: samples of reflection that the signal is padded by beforehand.
    """

    stride: int = 1
    dilation: int = 1
    left: int = 0
    right: int = 0

    def apply(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Convolve the padded signal (B, T, C): (B, T_out, N)."""
        if weight.shape[2] == 1 and self.stride == 1:
            return F.linear(x, weight.squeeze(2), bias)
        if _is_narrow(weight):
            y = F.conv2d(_image(x), _image_weight(weight), bias, *self._of_image())
            return y.squeeze(2).mT
        return F.conv1d(x.mT.contiguous(), weight, bias, self.stride, 0, self.dilation).mT

    def gradients(
        self, grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the padded signal and of the weight, from that of the output."""
        backward, mask = torch.ops.aten.convolution_backward, [True, True, False]
        if weight.shape[2] == 1 and self.stride == 1:
            grad_weight = grad.flatten(0, 1).t() @ x.flatten(0, 1)
            return grad @ weight.squeeze(2), grad_weight.unsqueeze(2)
        if _is_narrow(weight):
            stride, padding, dilation = self._of_image()
            rest: tuple[Any, ...] = (None, stride, padding, dilation, False, (0, 0), 1, mask)
            grad_x, grad_weight, _ = backward(
                _image(grad), _image(x), _image_weight(weight), *rest
            )
            return grad_x.squeeze(2).mT, grad_weight.squeeze(2)
        rest = (None, [self.stride], [0], [self.dilation], False, [0], 1, mask)
        grad_x, grad_weight, _ = backward(grad.mT.contiguous(), x.mT.contiguous(), weight, *rest)
        return grad_x.mT.contiguous(), grad_weight

    def _of_image(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        return (1, self.stride), (0, 0), (1, self.dilation)


@dataclasses.dataclass(frozen=True)
class TransposedConvolution:
    """Transposed convolution with weight (C, N, 2 * stride), trimmed.

    Each input spreads over two blocks of ``stride`` outputs, a matrix product each.

    Attributes:
        stride: in samples.
        trim_left, trim_right: outputs to leave out.
    """

    stride: int
    trim_left: int
    trim_right: int
    left = right = 0

    def apply(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Interpolate (B, T, C): (B, (T + 1) * stride - trims, N)."""
        batch, length, _ = x.shape
        first, second = _halves(weight)
        bias = weight.new_zeros(weight.shape[1]) if bias is None else bias
        y = x.new_empty(batch, length + 1, first.shape[1])
        y[:, length] = bias.repeat(self.stride)
        multiply(x, first, y[:, :length], y[0, length])
        multiply(x, second, y[:, 1:])
        y = y.view(batch, (length + 1) * self.stride, -1)
        return y[:, self.trim_left : y.shape[1] - self.trim_right].contiguous()

    def gradients(
        self, grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the input and of the weight, from that of the output."""
        batch, length, _ = x.shape
        blocks = F.pad(grad, (0, 0, self.trim_left, self.trim_right)).view(batch, length + 1, -1)
        grad_x, grad_halves = torch.zeros_like(x), []
        for half, part in zip(_halves(weight), (blocks[:, :-1], blocks[:, 1:]), strict=True):
            multiply(part, half.t(), grad_x)
            grad_half = torch.zeros_like(half)
            for item, spread in zip(x, part, strict=True):
                grad_half.addmm_(item.t(), spread)
            grad_halves.append(grad_half.view(len(weight), self.stride, -1))
        return grad_x, torch.cat(grad_halves, dim=1).transpose(1, 2)


def _halves(weight: torch.Tensor) -> list[torch.Tensor]:
    """(C, stride * N) for the block of outputs at an input's own place, and for the next."""
    halves = weight.transpose(1, 2).chunk(2, dim=1)
    return [half.flatten(1) for half in halves]


def _is_narrow(weight: torch.Tensor) -> bool:
    """From so many products an output on, channels-last loses digits and is no faster."""
    return weight[0].numel() < MAX_PRODUCTS_CHANNELS_LAST


def _image(x: torch.Tensor) -> torch.Tensor:
    """(B, T, C) as an image (B, C, 1, T), the channels last in memory."""
    return x.mT.unsqueeze(2)


def _image_weight(weight: torch.Tensor) -> torch.Tensor:
    return weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
