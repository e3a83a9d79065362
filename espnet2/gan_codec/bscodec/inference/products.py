"""Pointwise functions and convolutions on signals (B, T, C), channels last.

With the channels last, a product over them is one matrix product, a shifted or decimated signal
is a view, and oneDNN's convolutions need no reordering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.shared.encoder.snake_activation import Snake1d

# From this many products an output on, oneDNN's channels-last convolution, which adds them up
# one after the other, loses digits that the plain module keeps; matrix products do not.
MAX_PRODUCTS_CHANNELS_LAST = 1024
FEW_CHANNELS = 4
# values looked up at a time: NumPy's copy of their places stays in the cache
TABLE_PIECE = 1 << 16
POINTWISE = (nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)

Activation = Callable[[torch.Tensor, torch.Tensor], object]


class NotSupported(ValueError):
    """A module that the engine has no fast form of; the module itself has to be used."""


def activation(module: nn.Module | None) -> Activation:
    """Return a function ``(x, out)`` that writes the activation of x into out, which may be x.

    Both are (B, T, C), each in float32, float64 or bfloat16.

    Raises:
        NotSupported: the module is no activation of single values.
    """
    if module is None:
        return lambda x, out: out.copy_(x)
    if type(module) is Snake1d:
        function = _snake(module)
    elif isinstance(module, POINTWISE):
        function = lambda x, out: out.copy_(module(x))  # noqa: E731
    else:
        raise NotSupported(f"activation {type(module).__name__}")
    table = _Table(function)

    def act(x: torch.Tensor, out: torch.Tensor) -> None:
        if x.dtype == torch.bfloat16 and x.device.type == "cpu":
            table(x, out)
        elif x.dtype == out.dtype != torch.bfloat16:
            function(x, out)
        else:
            y = x.float()
            function(y, y)
            out.copy_(y)

    return act


def _snake(module: Any) -> Activation:
    alpha = module.alpha.detach()
    if alpha.numel() != 1:
        raise NotSupported("Snake with an alpha for every channel")
    scale = alpha.item()
    gain = (alpha + 1e-9).reciprocal().item()

    def snake(x: torch.Tensor, out: torch.Tensor) -> None:
        sine = torch.empty_like(x) if out is x else out
        torch.mul(x, scale, out=sine)
        if sine.device.type == "cpu":  # NumPy's sine takes less than half of torch's time
            numpy.sin(sine.numpy(), out=sine.numpy())
        else:
            sine.sin_()
        torch.addcmul(x, sine, sine, value=gain, out=out)

    return snake


class _Table:
    """A function of single bfloat16 values as a table of all 65536 of them, for the CPU.

    It is computed in float32 and rounded once.  To look values up takes half as long as to widen
    them, take a sine and round the result, and NumPy has no bfloat16.
    """

    def __init__(self, function: Activation) -> None:
        """Compute nothing yet: most functions never see bfloat16."""
        self.function = function
        self.tables: dict[torch.dtype, torch.Tensor] = {}

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Write the function of x (B, T, C) bfloat16 into out, which may be x, of any dtype."""
        if out.dtype not in self.tables:
            self.tables[out.dtype] = self._compute().to(out.dtype)
        table = _bits(self.tables[out.dtype])
        rows = max(1, TABLE_PIECE // x.shape[2])
        for signal, target in zip(x, out, strict=True):
            for piece, place in zip(signal.split(rows), target.split(rows), strict=True):
                # "wrap" changes no index here, and spares NumPy's copy of the output
                numpy.take(table, _bits(piece), out=_bits(place), mode="wrap")

    def _compute(self) -> torch.Tensor:
        values = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
        table = values.float().view(1, -1, 1)
        with numpy.errstate(invalid="ignore"):  # of infinity, which is among them
            self.function(table, table)
        return table.flatten()


def _bits(x: torch.Tensor) -> numpy.ndarray:
    """Values as NumPy can have them: of bfloat16 the bits, as uint16."""
    is_half = x.dtype == torch.bfloat16
    return x.view(torch.int16).numpy().view(numpy.uint16) if is_half else x.numpy()


def multiply(
    x: torch.Tensor,
    weight: torch.Tensor,
    out: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> None:
    """Write x @ weight + bias into out; without a bias, add x @ weight to what out holds.

    Args:
        x: (B, T, K).
        weight: (K, N).
        out: (B, T, N).
        bias: (N).
    """
    if len(x) == 1:
        torch.addmm(out[0] if bias is None else bias, x[0], weight, out=out[0])
    else:
        weight = weight.expand(len(x), -1, -1)
        torch.baddbmm(out if bias is None else bias, x, weight, out=out)


class Product:
    """Convolution without padding: (B, n, C) to (B, (n - span) // stride + 1, N), n >= span."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: int = 1,
        dilation: int = 1,
        out_dtype: torch.dtype | None = None,
    ) -> None:
        """Choose how to compute it.

        Args:
            weight: (N, C, kernel size), in the precision of the products.
            bias: (N).
            stride: in samples.
            dilation: in samples.
            out_dtype: of the output; None: of the weight.
        """
        self.out_channels, self.channels, self.kernel_size = weight.shape
        self.stride, self.dilation = stride, dilation
        self.span = (self.kernel_size - 1) * dilation + 1
        self.dtype, self.out_dtype = weight.dtype, out_dtype or weight.dtype
        self.bias = weight.new_zeros(self.out_channels) if bias is None else bias.clone()
        simple = stride == dilation == 1
        if self.channels <= FEW_CHANNELS and dilation == 1:
            self.weight = weight.flatten(1).t().contiguous()
            self._compute = self._from_few_channels
        elif self.out_channels <= FEW_CHANNELS and simple:
            self.weight = weight.permute(1, 2, 0).flatten(1).contiguous()
            self._compute = self._to_few_channels
        elif self.kernel_size > 1 and (
            # which adds up products of bfloat16 in float32, and rounds the sum alone
            weight[0].numel() < MAX_PRODUCTS_CHANNELS_LAST
            or (self.dtype == torch.bfloat16 and stride == 1)
        ):
            self.weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
            self._compute = self._by_convolution
        else:
            # as many taps a product as rows of the signal do not overlap
            self.taps = stride if dilation == 1 and self.kernel_size % stride == 0 else 1
            groups = weight.permute(2, 1, 0).split(self.taps)
            self.weights = [group.flatten(0, 1).contiguous() for group in groups]
            self._compute = self._by_taps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._compute(x).to(self.out_dtype)

    def _from_few_channels(self, x: torch.Tensor) -> torch.Tensor:
        windows = x.unfold(1, self.kernel_size, self.stride).flatten(2)
        return F.linear(windows, self.weight.t(), self.bias)

    def _to_few_channels(self, x: torch.Tensor) -> torch.Tensor:
        products = x @ self.weight  # (B, n, kernel size * N); summed along the diagonals
        batch, length, width = products.shape
        n = self.out_channels
        diagonals = products.as_strided(
            (batch, length - self.span + 1, n, self.kernel_size),
            (length * width, width, 1, width + n),
        )
        return diagonals.sum(dim=3).add_(self.bias)

    def _by_convolution(self, x: torch.Tensor) -> torch.Tensor:
        stride, dilation = (1, self.stride), (1, self.dilation)
        y = F.conv2d(x.mT.unsqueeze(2), self.weight, self.bias, stride, dilation=dilation)
        return y.squeeze(2).mT

    def _by_taps(self, x: torch.Tensor) -> torch.Tensor:
        length = (x.shape[1] - self.span) // self.stride + 1
        out = x.new_empty(len(x), length, self.out_channels)
        per_batch, per_sample, _ = x.stride()
        rows = (len(x), length, self.taps * self.channels)
        for i, weight in enumerate(self.weights):
            start = x[:, i * self.taps * self.dilation :]
            shifted = start.as_strided(rows, (per_batch, self.stride * per_sample, 1))
            multiply(shifted, weight, out, None if i else self.bias)
        return out


class Interpolation:
    """Transposed convolution whose kernel is two strides long, before it is trimmed.

    (B, 1 + n, C) to (B, n * stride, N): each block of ``stride`` outputs from the input of its
    own place and from the one before.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, left: int, right: int
    ) -> None:
        """Rearrange the weight.

        Args:
            weight: (C, N, 2 * stride).
            bias: (N).
            left: outputs to trim from the start of the signal.
            right: outputs to trim from its end.
        """
        self.channels, self.out_channels, kernel_size = weight.shape
        self.stride = kernel_size // 2
        self.left, self.right = left, right
        halves = weight.transpose(1, 2).split(self.stride, dim=1)  # (C, stride, N) twice
        self.own, self.previous = (half.flatten(1).contiguous() for half in halves)
        bias = weight.new_zeros(self.out_channels) if bias is None else bias
        self.bias = bias.repeat(self.stride)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out = x.new_empty(len(x), x.shape[1] - 1, self.stride * self.out_channels)
        multiply(x[:, 1:], self.own, out, self.bias)
        multiply(x[:, :-1], self.previous, out)
        return out.view(len(x), -1, self.out_channels)


class Residual:
    """The end of a residual block: shortcut(x) + conv(act(hidden)), both of single samples."""

    def __init__(
        self,
        act: Activation,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        shortcut: tuple[torch.Tensor, torch.Tensor | None] | None,
    ) -> None:
        """Rearrange the weights.

        Args:
            act: activation of the hidden signal.
            weight: (N, H, 1) from the hidden signal.
            bias: (N).
            shortcut: weight (N, N, 1) and bias (N) from the block's input; None: the identity.
        """
        self.act = act
        self.weight = weight.squeeze(2).t().contiguous()
        self.bias = weight.new_zeros(len(weight)) if bias is None else bias.clone()
        self.shortcut = None
        if shortcut is not None:
            self.shortcut = shortcut[0].squeeze(2).t().contiguous()
            if shortcut[1] is not None:
                self.bias += shortcut[1]

    def __call__(self, hidden: torch.Tensor, chunks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (B, T, N) of hidden (B, T, H), which is overwritten, and the input's chunks."""
        batch, length, _ = hidden.shape
        out = hidden.new_empty(batch, length, len(self.bias))
        start = 0
        for x in chunks:
            part = out[:, start : start + x.shape[1]]
            start += x.shape[1]
            if self.shortcut is None:
                torch.add(x, self.bias, out=part)
            elif x.shape[1]:
                multiply(x, self.shortcut, part, self.bias)
        self.act(hidden, hidden)
        multiply(hidden, self.weight, out)
        return out
