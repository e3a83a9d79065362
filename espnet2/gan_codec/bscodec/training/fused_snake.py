"""Snake, padding and convolution as one function with a backward of its own.

    snake(x) = x + sin(a x)^2 / (a + e)        d snake / dx = 1 + a sin(2 a x) / (a + e)

Autograd would keep every step (the sine, its square, the activation, the padded signal) of every
convolution.  Here only the input x is kept, and the rest is computed again.

Source: Snake, arXiv 2006.08195; as in ESPnet, e = 1e-9, and a layer has one a.
"""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch.autograd.function import once_differentiable

from espnet2.gan_codec.bscodec.training.convolution import Convolution, TransposedConvolution

EPSILON = 1e-9


class SnakeConv(torch.autograd.Function):
    """Snake, reflection and convolution of a signal (B, T, C) in one: (B, T_out, N).

    Arguments of ``apply``: x; alpha (one element), or None to convolve x as it is; weight; bias
    (N) or None; and the convolution.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        alpha: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        conv: Convolution | TransposedConvolution,
    ) -> torch.Tensor:
        ctx.conv, ctx.has_bias = conv, bias is not None
        ctx.save_for_backward(x, alpha, weight)
        padded, _ = _activate(x, alpha, conv.left, conv.right)
        return conv.apply(padded, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, alpha, weight = ctx.saved_tensors
        conv, grad = ctx.conv, grad.contiguous()
        padded, square = _activate(x, alpha, conv.left, conv.right)
        grad_padded, grad_weight = conv.gradients(grad, padded, weight)
        del padded
        grad_x = _fold(grad_padded, conv.left, conv.right)
        grad_alpha = None
        if alpha is not None and square is not None:
            grad_x, grad_alpha = _snake_gradients(grad_x, x, square, alpha)
        grad_bias = grad.sum(dim=(0, 1)) if ctx.has_bias else None
        return grad_x, grad_alpha, grad_weight, grad_bias, None


def _sine(x: torch.Tensor) -> torch.Tensor:
    """Sine in place; NumPy's takes less than half of torch's time on a CPU."""
    if x.device.type != "cpu":
        return x.sin_()
    numpy.sin(x.numpy(), out=x.numpy())
    return x


def _activate(
    x: torch.Tensor, alpha: torch.Tensor | None, left: int, right: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Snake of x (B, T, C), padded by reflection; and sin(a x)^2, not padded."""
    length, square = x.shape[1], None
    if alpha is None and not left + right:
        return x, None
    padded = x.new_empty(len(x), left + length + right, x.shape[2])
    inner = padded[:, left : left + length]
    if alpha is None:
        inner.copy_(x)
    else:
        a = alpha.item()
        square = _sine(x * a)
        square.mul_(square)
        torch.add(x, square, alpha=1 / (a + EPSILON), out=inner)
    if left:
        padded[:, :left] = inner[:, 1 : left + 1].flip(1)
    if right:
        padded[:, left + length :] = inner[:, length - 1 - right : -1].flip(1)
    return padded, square


def _fold(grad: torch.Tensor, left: int, right: int) -> torch.Tensor:
    """Gradient of a signal from that of the signal padded by reflection, which is overwritten."""
    length = grad.shape[1] - left - right
    folded = grad[:, left : left + length]
    if left:
        folded[:, 1 : left + 1] += grad[:, :left].flip(1)
    if right:
        folded[:, length - 1 - right : -1] += grad[:, left + length :].flip(1)
    return folded


def _snake_gradients(
    grad: torch.Tensor, x: torch.Tensor, square: torch.Tensor, alpha: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of x and alpha; ``square`` is overwritten."""
    a = alpha.item()
    gain = 1 / (a + EPSILON)
    # summed by sum(), pairwise: a dot product of a million terms would lose three digits
    from_square = square.mul_(grad).sum()
    slope = _sine(x * (2 * a)).mul_(grad)  # grad sin(2 a x)
    from_slope = torch.mul(slope, x, out=square).sum()
    grad_alpha = (gain * from_slope - gain**2 * from_square).view_as(alpha)
    return torch.add(grad, slope, alpha=a * gain), grad_alpha
