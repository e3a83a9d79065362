"""The fast and the streaming form of ESPnet's SEANet encoder and decoder.

Both are the same computation with folded weights (``products``), run layer by layer with the
layers' memory carried along (``layers``).
"""

from __future__ import annotations

import copy
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
from espnet2.gan_codec.bscodec.inference.thread_pool import max_frames
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
    audio_conv: int  # which of its convolutions has the audio on one side

    def __init__(self, module: Any, dtype: torch.dtype | None = None) -> None:
        """Fold the module's weights.

        Args:
            module: an ESPnet SEANet encoder or decoder.
            dtype: of products and of the signals between layers, ``torch.bfloat16``; None: of the
                weights.  Audio and the products with it, outputs, and sines stay in the weights'.

        Raises:
            NotSupported: it has a setting that there is no fast form of.
        """
        if type(module) is not self.plain:
            raise NotSupported(f"expected {self.plain.__name__}, got {type(module).__name__}")
        self.module, self.dtype = module, dtype
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
        convs = [layer for layer in self.module.model if isinstance(layer, SConv1d)]
        own = next(self.module.parameters()).dtype
        dtype = self.dtype or own
        act = None
        for layer in self.module.model:
            if isinstance(layer, SConv1d):
                of_audio = layer is convs[self.audio_conv]
                out_dtype = own if layer is convs[-1] else dtype
                self._layers.append(_conv(layer, act, own if of_audio else dtype, out_dtype))
            elif isinstance(layer, SConvTranspose1d):
                self._layers.append(_transposed_conv(layer, act, dtype))
            elif act is not None:
                raise NotSupported(f"an activation before {type(layer).__name__}")
            elif isinstance(layer, SEANetResnetBlock):
                self._layers.append(_residual_block(layer, dtype))
            elif isinstance(layer, SLSTM):
                self._layers.append(_lstm(layer, dtype))
            else:
                act = layer
                continue
            act = None
        if act is not None:
            self._layers.append(_pointwise(act))


class FastEncoder(_Fast):
    """Fast form of a SEANet encoder: (B, C, T) to (B, dimension, ceil(T / hop_length))."""

    plain = SEANetEncoder
    audio_conv = 0

    @property
    def chunk(self) -> int:
        return max_frames(self.dtype) * self.hop_length

    def _output_length(self, length: int) -> int:
        return -(-length // self.hop_length)


class FastDecoder(_Fast):
    """Fast form of a SEANet decoder: (B, dimension, F) to (B, C, F * hop_length)."""

    plain = SEANetDecoder
    audio_conv = -1

    @property
    def chunk(self) -> int:
        return max_frames(self.dtype)

    def _output_length(self, length: int) -> int:
        return length * self.hop_length


class NetworkStream(ChannelsLast):
    """A network's layers one after the other; what comes out carries no gradient."""

    @torch.no_grad()
    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        return super().push(x, last).contiguous()


def _folded(conv: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return weight and bias of a convolution in ``dtype``, its weight norm folded in."""
    if hasattr(conv, "weight_g"):  # the older weight_norm, which leaves an outdated weight behind
        weight = torch._weight_norm(conv.weight_v, conv.weight_g, 0)
    else:
        weight = conv.weight
    bias = None if conv.bias is None else conv.bias.detach().to(dtype)
    return weight.detach().to(dtype), bias


def _product(layer: SConv1d, dtype: torch.dtype, out_dtype: torch.dtype) -> Product:
    conv = layer.conv.conv
    _check_norm(layer.conv.norm_type)
    if conv.groups != 1 or layer.pad_mode not in ("reflect", "constant"):
        raise NotSupported(f"groups {conv.groups} or padding {layer.pad_mode}")
    product = Product(*_folded(conv, dtype), conv.stride[0], conv.dilation[0], out_dtype)
    if product.span < product.stride:
        raise NotSupported("a kernel shorter than its stride")
    return product


def _check_norm(norm: str) -> None:
    if norm not in ("none", "weight_norm"):
        raise NotSupported(f"norm {norm}")


def _conv(layer: SConv1d, act: nn.Module | None, dtype: torch.dtype, out_dtype: torch.dtype):
    product, function = _product(layer, dtype, out_dtype), activation(act)
    causal, reflect = layer.causal, layer.pad_mode == "reflect"
    return lambda batch: ConvStream(product, function, batch, causal, reflect)


def _transposed_conv(layer: SConvTranspose1d, act: nn.Module | None, dtype: torch.dtype):
    conv = layer.convtr.convtr
    _check_norm(layer.convtr.norm_type)
    stride = conv.stride[0]
    if conv.groups != 1 or conv.kernel_size[0] != 2 * stride:
        raise NotSupported("a transposed convolution whose kernel is not two strides long")
    right = math.ceil(stride * layer.trim_right_ratio) if layer.causal else stride // 2
    interpolation = Interpolation(*_folded(conv, dtype), stride - right, right)
    function = activation(act)
    return lambda batch: TransposedConvStream(interpolation, function, batch)


def _residual_block(layer: SEANetResnetBlock, dtype: torch.dtype):
    if len(layer.block) != 4:
        raise NotSupported("a residual block that has not two convolutions")
    first_act, first, second_act, second = layer.block
    convs = [second] if isinstance(layer.shortcut, nn.Identity) else [second, layer.shortcut]
    if any(_product(conv, dtype, dtype).span > 1 for conv in convs):
        raise NotSupported("a residual block whose second convolution is wider than a sample")
    weight, bias = _folded(second.conv.conv, dtype)
    shortcut = _folded(layer.shortcut.conv.conv, dtype) if len(convs) == 2 else None
    residual = Residual(activation(second_act), weight, bias, shortcut)
    wide = _conv(first, first_act, dtype, dtype)
    return lambda batch: ResidualStream(wide(batch), residual, batch)


def _lstm(layer: SLSTM, dtype: torch.dtype):
    weights = [weights[1] for weights in layer.lstm.all_weights]
    recurrent = [weight.detach().t().contiguous() for weight in weights]
    is_rounded = dtype == torch.bfloat16
    rounded = copy.deepcopy(layer.lstm).to(dtype).eval() if is_rounded else None
    return lambda batch: LSTMStream(layer, recurrent, batch, rounded)


def _pointwise(module: nn.Module):
    act = activation(module)
    return lambda batch: PointwiseStream(act)
