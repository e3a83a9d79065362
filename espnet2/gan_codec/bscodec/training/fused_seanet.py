"""SEANet in training: the same modules and parameters, run layer by layer with channels last.

The modules stay as they are, with their names in the state dict; what is not supported here (other
activations, norms, padding, signals too short to reflect, other devices and precisions) is run
by the modules themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.training.convolution import Convolution, TransposedConvolution
from espnet2.gan_codec.bscodec.training.fused_snake import SnakeConv
from espnet2.gan_codec.shared.decoder.seanet import SConvTranspose1d, SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import (
    SConv1d,
    SEANetEncoder,
    SEANetResnetBlock,
    get_extra_padding_for_conv1d,
)
from espnet2.gan_codec.shared.encoder.snake_activation import Snake1d


def supports(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether :func:`run` may stand for ``network(x)``."""
    return (
        type(network) in (SEANetEncoder, SEANetDecoder)
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled(x.device.type)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def run(network: SEANetEncoder | SEANetDecoder, x: torch.Tensor) -> torch.Tensor:
    """Return ``network(x)`` with its graph: (B, C_in, T) to (B, C_out, T_out)."""
    return _sequence(network.model, x.mT.contiguous()).mT


def _sequence(layers: Iterable[nn.Module], x: torch.Tensor) -> torch.Tensor:
    act = None
    for layer in layers:
        if act is None and _is_snake(layer):
            act = layer  # waits for its convolution
            continue
        x = _layer(layer, act, x)
        act = None
    return x if act is None else _plain(act, x)


def _layer(layer: nn.Module, act: Snake1d | None, x: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, SConv1d) and _supports_conv(layer.conv.conv, layer.conv.norm_type):
        return _conv(layer, act, x)
    if isinstance(layer, SConvTranspose1d):
        conv = layer.convtr.convtr
        two_strides = conv.kernel_size[0] == 2 * conv.stride[0]
        if two_strides and _supports_conv(conv, layer.convtr.norm_type):
            return _transposed_conv(layer, act, x)
    if isinstance(layer, SEANetResnetBlock) and act is None:
        return _residual(layer, x)
    return _plain(layer, x if act is None else _plain(act, x))


def _is_snake(layer: Any) -> bool:
    return type(layer) is Snake1d and layer.alpha.numel() == 1


def _plain(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return layer(x.mT).mT


def _supports_conv(conv: Any, norm: str) -> bool:
    return norm in ("none", "weight_norm") and conv.groups == 1


def _alpha(act: Snake1d | None) -> torch.Tensor | None:
    return None if act is None else act.alpha


def _conv(layer: SConv1d, act: Snake1d | None, x: torch.Tensor) -> torch.Tensor:
    conv = layer.conv.conv
    stride, dilation = conv.stride[0], conv.dilation[0]
    span = (conv.kernel_size[0] - 1) * dilation + 1
    total = span - stride
    extra = get_extra_padding_for_conv1d(x.mT, span, stride, total)
    left = total if layer.causal else total - total // 2
    right = total - left + extra
    reflects = layer.pad_mode == "reflect" and max(left, right) < x.shape[1]
    if total < 0 or not (reflects or left == right == 0):
        return _plain(layer, x if act is None else _plain(act, x))
    settings = Convolution(stride, dilation, left, right)
    return SnakeConv.apply(x, _alpha(act), conv.weight, conv.bias, settings)


def _transposed_conv(
    layer: SConvTranspose1d, act: Snake1d | None, x: torch.Tensor
) -> torch.Tensor:
    conv = layer.convtr.convtr
    stride = conv.stride[0]
    right = math.ceil(stride * layer.trim_right_ratio) if layer.causal else stride // 2
    settings = TransposedConvolution(stride, stride - right, right)
    return SnakeConv.apply(x, _alpha(act), conv.weight, conv.bias, settings)


def _residual(block: SEANetResnetBlock, x: torch.Tensor) -> torch.Tensor:
    return _shortcut(block.shortcut, x) + _sequence(block.block, x)


def _shortcut(layer: Any, x: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.Identity):
        return x
    conv = layer.conv.conv
    if conv.kernel_size[0] == 1 and _supports_conv(conv, layer.conv.norm_type):
        return F.linear(x, conv.weight.squeeze(2), conv.bias)
    return _plain(layer, x)
