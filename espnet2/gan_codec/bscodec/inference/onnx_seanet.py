"""SEANet networks whose sizes are integer arithmetic: no branch, no float depends on a length.

ESPnet's layers reflect a signal at its ends, and lengthen one shorter than the reflection by zeros
first.  Here that is one gather, whose indices are arithmetic on the length.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.shared.encoder.seanet import SConv1d
from espnet2.gan_codec.shared.encoder.snake_activation import Snake1d


def graph_form(network: nn.Module) -> nn.Module:
    """A copy of a SEANet encoder or decoder that computes the same at any length and batch."""
    network = copy.deepcopy(network).eval()
    _replace(network)
    return network


def _replace(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, SConv1d):
            setattr(module, name, PaddedConv(child))
        elif isinstance(child, (nn.Conv1d, nn.ConvTranspose1d)):
            setattr(module, name, plain(child))
        elif isinstance(child, Snake1d):
            setattr(module, name, Snake(child))
        else:
            _replace(child)


def plain(conv: nn.Conv1d | nn.ConvTranspose1d) -> nn.Module:
    """A convolution without a parametrization of its weight, which is worked out once."""
    kind = nn.ConvTranspose1d if isinstance(conv, nn.ConvTranspose1d) else nn.Conv1d
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    settings: dict[str, Any] = {name: getattr(conv, name) for name in (*names, "groups")}
    copied = kind(**settings, bias=conv.bias is not None)
    copied.weight.data = conv.weight.detach().clone()
    if conv.bias is not None and copied.bias is not None:
        copied.bias.data = conv.bias.detach().clone()
    return copied


class Snake(nn.Module):
    """``Snake1d`` without its scripted function."""

    def __init__(self, snake: Snake1d) -> None:
        super().__init__()
        self.alpha = snake.alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-9)


class PaddedConv(nn.Module):
    """``SConv1d``: (B, C, L) to (B, C', ceil(L / stride))."""

    def __init__(self, layer: SConv1d) -> None:
        super().__init__()
        conv = layer.conv.conv
        self.conv = nn.Sequential(plain(conv), layer.conv.norm)
        (size,), (self.stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
        total = (size - 1) * dilation + 1 - self.stride
        self.left = total if layer.causal else total - total // 2
        self.right = total - self.left
        self.reflects = layer.pad_mode == "reflect"
        if not self.reflects and layer.pad_mode != "constant":
            raise ValueError(f"pad_mode {layer.pad_mode}: has no ONNX form here")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[2]
        extra = (length + self.stride - 1) // self.stride * self.stride - length
        if not self.reflects:
            return self.conv(F.pad(x, (self.left, self.right + extra)))
        most = max(self.left, self.right + self.stride - 1)
        if not most:
            return self.conv(x)
        place = torch.arange(length + self.left + self.right + extra, device=x.device) - self.left
        # the reflection at the end is about the last sample, or the last zero that lengthens
        reach = torch.maximum(torch.tensor(self.left), self.right + torch.tensor(extra))
        last = torch.maximum(torch.tensor(length - 1), reach)
        place = last - (last - place.abs()).abs()
        return self.conv(F.pad(x, (0, most + 1)).index_select(2, place))
