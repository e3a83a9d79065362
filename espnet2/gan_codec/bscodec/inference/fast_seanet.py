"""The fast and the streaming form of ESPnet's SEANet encoder and decoder.

Both are the same computation with folded weights (``products``), run layer by layer with the
layers' memory carried along (``layers``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from espnet2.gan_codec.bscodec.inference.products import (
    Interpolation,
    NotSupported,
    Product,
    Residual,
    activation,
)
from espnet2.gan_codec.bscodec.inference.seanet_layers import (
    ConvStream,
    LSTMStream,
    PointwiseStream,
    ResidualStream,
    TransposedConvStream,
)
from espnet2.gan_codec.bscodec.inference.stream import ChannelsLast, Stream
from espnet2.gan_codec.bscodec.inference.thread_pool import MAX_FRAMES
from espnet2.gan_codec.shared.decoder.seanet import SConvTranspose1d, SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import (
    SLSTM,
    SConv1d,
    SEANetEncoder,
    SEANetResnetBlock,
)


class _Fast:
    """What encoder and decoder have in common.

    The plain module stays as it is: its weights are read, folded and copied.  They are read again
    once they have changed in place or been replaced, by an optimizer step or by loading a state
    dict; changes through ``.data`` go unnoticed.  Outputs carry no gradient.
    """

    plain: Any  # the module's class

    def __init__(self, module: Any) -> None:
        """Fold the module's weights.

        Args:
            module: an ESPnet SEANet encoder or decoder.

        Raises:
            NotSupported: it has a setting that there is no fast form of.
        """
        if type(module) is not self.plain:
            raise NotSupported(f"expected {self.plain.__name__}, got {type(module).__name__}")
        self.module = module
        self.hop_length = math.prod(module.ratios)
        self._fold()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``module(x)``: (B, C_in, T), T >= 1, to (B, C_out, T_out).

        Raises:
            ValueError: an empty signal.
        """
        outputs: list[torch.Tensor] = []
        for _ in self.steps(x, -(-x.shape[2] // self.chunk), outputs):
            pass
        return outputs[0]

    @torch.no_grad()
    def steps(self, x: torch.Tensor, chunks: int, outputs: list[torch.Tensor]) -> Iterator[None]:
        """Compute ``module(x)`` in so many steps, and append it to ``outputs`` in the last one.

        Raises:
            ValueError: an empty signal.
        """
        if not x.shape[2]:
            raise ValueError("cannot run a network on an empty signal")
        stream = self.stream(len(x))
        # written in place: small outputs between large buffers would scatter the heap
        out, start = None, 0
        for i, chunk in enumerate(x.tensor_split(chunks, dim=2), 1):
            y = stream.push(chunk, last=i == chunks)
            if out is None:
                out = y.new_empty(len(x), y.shape[1], self._output_length(x.shape[2]))
            out[..., start : start + y.shape[2]] = y
            start += y.shape[2]
            if i == chunks:
                outputs.append(out)
            yield

    @property
    def chunk(self) -> int:
        """Inputs that are computed at a time."""
        raise NotImplementedError

    def _output_length(self, length: int) -> int:
        raise NotImplementedError

    @torch.no_grad()
    def stream(self, batch: int) -> Stream:
        """Return the network as a stream of ``batch`` signals: (B, C_in, n) to (B, C_out, m)."""
        if self._signature() != self._folded_signature:
            self._fold()
        return NetworkStream([make(batch) for make in self._layers])

    def _signature(self) -> list[tuple[int, int, int]]:
        """Return what changes whenever a parameter does."""
        return [
            (id(p), p.data_ptr(), 0 if p.is_inference() else p._version)
            for p in self.module.parameters()
        ]

    @torch.no_grad()
    def _fold(self) -> None:
        dtypes = {p.dtype for p in self.module.parameters()}
        if not dtypes <= {torch.float32, torch.float64}:
            raise NotSupported(f"weights in {', '.join(map(str, dtypes))}")
        self._folded_signature = self._signature()
        self._layers = []
        act = None
        for layer in self.module.model:
            if isinstance(layer, SConv1d):
                self._layers.append(_conv(layer, act))
            elif isinstance(layer, SConvTranspose1d):
                self._layers.append(_transposed_conv(layer, act))
            elif act is not None:
                raise NotSupported(f"an activation before {type(layer).__name__}")
            elif isinstance(layer, SEANetResnetBlock):
                self._layers.append(_residual_block(layer))
            elif isinstance(layer, SLSTM):
                self._layers.append(_lstm(layer))
            else:
                act = layer
                continue
            act = None
        if act is not None:
            self._layers.append(_pointwise(act))


class FastEncoder(_Fast):
    """Fast form of a SEANet encoder: (B, C, T) to (B, dimension, ceil(T / hop_length))."""

    plain = SEANetEncoder

    @property
    def chunk(self) -> int:
        return MAX_FRAMES * self.hop_length

    def _output_length(self, length: int) -> int:
        return -(-length // self.hop_length)


class FastDecoder(_Fast):
    """Fast form of a SEANet decoder: (B, dimension, F) to (B, C, F * hop_length)."""

    plain = SEANetDecoder

    @property
    def chunk(self) -> int:
        return MAX_FRAMES

    def _output_length(self, length: int) -> int:
        return length * self.hop_length


class NetworkStream(ChannelsLast):
    """A network's layers one after the other; what comes out carries no gradient."""

    @torch.no_grad()
    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        return super().push(x, last).contiguous()


def _folded(conv: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return weight and bias of a convolution, its weight norm folded in."""
    if hasattr(conv, "weight_g"):  # the older weight_norm, which leaves an outdated weight behind
        weight = torch._weight_norm(conv.weight_v, conv.weight_g, 0)
    else:
        weight = conv.weight
    return weight.detach(), None if conv.bias is None else conv.bias.detach()


def _product(layer: SConv1d) -> Product:
    conv = layer.conv.conv
    _check_norm(layer.conv.norm_type)
    if conv.groups != 1 or layer.pad_mode not in ("reflect", "constant"):
        raise NotSupported(f"groups {conv.groups} or padding {layer.pad_mode}")
    product = Product(*_folded(conv), conv.stride[0], conv.dilation[0])
    if product.span < product.stride:
        raise NotSupported("a kernel shorter than its stride")
    return product


def _check_norm(norm: str) -> None:
    if norm not in ("none", "weight_norm"):
        raise NotSupported(f"norm {norm}")


def _conv(layer: SConv1d, act: nn.Module | None):
    product, function = _product(layer), activation(act)
    causal, reflect = layer.causal, layer.pad_mode == "reflect"
    return lambda batch: ConvStream(product, function, batch, causal, reflect)


def _transposed_conv(layer: SConvTranspose1d, act: nn.Module | None):
    conv = layer.convtr.convtr
    _check_norm(layer.convtr.norm_type)
    stride = conv.stride[0]
    if conv.groups != 1 or conv.kernel_size[0] != 2 * stride:
        raise NotSupported("a transposed convolution whose kernel is not two strides long")
    right = math.ceil(stride * layer.trim_right_ratio) if layer.causal else stride // 2
    interpolation = Interpolation(*_folded(conv), stride - right, right)
    function = activation(act)
    return lambda batch: TransposedConvStream(interpolation, function, batch)


def _residual_block(layer: SEANetResnetBlock):
    if len(layer.block) != 4:
        raise NotSupported("a residual block that has not two convolutions")
    first_act, first, second_act, second = layer.block
    convs = [second] if isinstance(layer.shortcut, nn.Identity) else [second, layer.shortcut]
    if any(_product(conv).span > 1 for conv in convs):
        raise NotSupported("a residual block whose second convolution is wider than a sample")
    weight, bias = _folded(second.conv.conv)
    shortcut = _folded(layer.shortcut.conv.conv) if len(convs) == 2 else None
    residual = Residual(activation(second_act), weight, bias, shortcut)
    wide = _conv(first, first_act)
    return lambda batch: ResidualStream(wide(batch), residual, batch)


def _lstm(layer: SLSTM):
    weights = [weights[1] for weights in layer.lstm.all_weights]
    recurrent = [weight.detach().t().contiguous() for weight in weights]
    return lambda batch: LSTMStream(layer, recurrent, batch)


def _pointwise(module: nn.Module):
    act = activation(module)
    return lambda batch: PointwiseStream(act)
