"""SEANet's layers as streams of signals (B, T, C), channels last.

Every layer keeps what its next outputs need of the inputs so far.  A whole signal is one push
that is both the first and the last, so there is one computation for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.products import (
    Activation,
    Interpolation,
    Product,
    Residual,
)
from espnet2.gan_codec.bscodec.inference.stream import Stream
from espnet2.gan_codec.shared.encoder.seanet import SLSTM

# up to there an LSTM's own preparations take longer than running it by steps
MAX_UNROLLED_STEPS = 100
MAX_UNROLLED_STEPS_BFLOAT16 = 16


class ConvStream(Stream):
    """Activation, then ``SConv1d``: ceil(T / stride) outputs, padded by reflection or zeros.

    How much padding the end needs is known only there: up to stride - 1 inputs more than the
    kernel size asks for.
    """

    state_keys = ("carry", "next_window", "num_samples_in")

    def __init__(
        self,
        product: Product,
        act: Activation,
        batch: int,
        causal: bool = False,
        reflect: bool = True,
    ) -> None:
        self.product, self.act, self.reflect = product, act, reflect
        padding = product.span - product.stride
        self.right = 0 if causal else padding // 2
        self.left = padding - self.right
        self.min_length = self.left + 1 if reflect else 1  # a signal whose start can be padded
        # activated inputs that a window or the end's reflection still needs, padding included
        self.carry = product.bias.new_zeros(batch, 0, product.channels)
        self.next_window = 0  # place of the next window in the carry
        self.num_samples_in = 0

    def inputs_for(self, outputs: int) -> int:
        return (outputs - 1) * self.product.stride + self.product.span - self.left

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        span, stride = self.product.span, self.product.stride
        before, self.num_samples_in = self.num_samples_in, self.num_samples_in + x.shape[1]
        started = self.num_samples_in >= self.min_length or last and self.num_samples_in > 0
        left = self.left if started and before < self.min_length else 0
        right = self.right + -self.num_samples_in % stride if started and last else 0

        inputs = self._join(x, left, right)
        if left or right:
            self._pad(inputs, left, right, last)
        length = inputs.shape[1]
        count = max(0, (length - self.next_window - span) // stride + 1) if started else 0
        windows = inputs[:, self.next_window : self.next_window + (count - 1) * stride + span]
        self.next_window += count * stride
        # the end may reflect the last right + stride inputs
        kept = max(0, min(self.next_window, length - self.right - stride))
        self.carry = inputs[:, length if last else kept :].clone()
        self.next_window -= kept
        if not count:
            empty = (len(x), 0, self.product.out_channels)
            return x.new_empty(empty, dtype=self.product.out_dtype)
        return self.product(windows)

    def _join(self, x: torch.Tensor, left: int, right: int) -> torch.Tensor:
        """Return the carry and the activated x, with room for padding around them."""
        start = left + self.carry.shape[1]
        end = start + x.shape[1]
        inputs = self.carry.new_empty(len(x), end + right, x.shape[2])
        inputs[:, left:start] = self.carry
        self.act(x, inputs[:, start:end])
        return inputs

    def _pad(self, inputs: torch.Tensor, left: int, right: int, last: bool) -> None:
        """Fill in the first ``left`` and the last ``right`` inputs."""
        end = inputs.shape[1] - right
        if not self.reflect:
            inputs[:, :left] = 0
            inputs[:, end:] = 0
            return
        signal = inputs[:, left:end]
        # as ESPnet's pad1d: a signal too short to be reflected is first extended by zeros
        missing = max(0, max(self.left, right) + 1 - self.num_samples_in) if last else 0
        if missing:
            signal = F.pad(signal, (0, 0, 0, missing))
        inputs[:, :left] = signal[:, 1 : left + 1].flip(1)
        mirrored = signal[:, signal.shape[1] - 1 - right : -1].flip(1)
        inputs[:, end:] = F.pad(mirrored, (0, 0, missing, 0))[:, :right]


class TransposedConvStream(Stream):
    """Activation, then ``SConvTranspose1d`` with a kernel of two strides.

    Input t spreads over the blocks of ``stride`` outputs t and t + 1, so a block is a product of
    two inputs; ``left`` outputs of the first and ``right`` of the last block are trimmed.
    """

    state_keys = ("carry", "started")

    def __init__(self, conv: Interpolation, act: Activation, batch: int) -> None:
        self.conv, self.act = conv, act
        self.carry = conv.bias.new_zeros(batch, 1, conv.channels)
        self.started = False

    def inputs_for(self, outputs: int) -> int:
        return (outputs - 1 + self.conv.left) // self.conv.stride + 1

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        blocks = x.shape[1]
        if not (blocks or self.started):
            return self.carry.new_empty(len(x), 0, self.conv.out_channels)
        inputs = self.carry.new_empty(len(x), 1 + blocks + last, x.shape[2])
        inputs[:, :1] = self.carry
        self.act(x, inputs[:, 1 : 1 + blocks])
        if last:
            inputs[:, -1:] = 0
        self.carry = inputs[:, -1:].clone()
        y = self.conv(inputs)
        y = y[:, 0 if self.started else self.conv.left : y.shape[1] - last * self.conv.right]
        self.started = True
        return y


class ResidualStream(Stream):
    """``SEANetResnetBlock``: a wide convolution and one of single samples, added to the input.

    The input waits until the wide convolution has seen enough of the future.
    """

    state_keys = ("waiting",)

    def __init__(self, wide: ConvStream, block: Residual, batch: int) -> None:
        self.wide, self.block = wide, block
        self.waiting = block.bias.new_zeros(batch, 0, len(block.weight[0]))

    @property
    def children(self) -> Mapping[str, Stream]:
        return {"wide": self.wide}

    def inputs_for(self, outputs: int) -> int:
        return self.wide.inputs_for(outputs)

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        hidden = self.wide.push(x, last)
        count = hidden.shape[1]
        waited = self.waiting[:, :count]
        new = x[:, : count - waited.shape[1]]
        left = [self.waiting[:, waited.shape[1] :], x[:, new.shape[1] :]]
        self.waiting = torch.cat(left, dim=1)
        return self.block(hidden, [waited, new])


class LSTMStream(Stream):
    """``SLSTM``: an LSTM, added to its input."""

    state_keys = ("hidden", "cell")

    def __init__(
        self,
        module: SLSTM,
        recurrent: Sequence[torch.Tensor],
        batch: int,
        rounded: nn.LSTM | None = None,
    ) -> None:
        """Start with a state of zeros.

        Args:
            module: of ESPnet.
            recurrent: each layer's recurrent weight, transposed: (H, 4 H), contiguous.
            batch: signals that advance together.
            rounded: the LSTM in bfloat16, for signals in bfloat16; few steps, for which the
                weights are not worth preparing, and the state stay in float32.
        """
        self.rounded = rounded
        self.lstm, self.skip, self.recurrent = module.lstm, module.skip, recurrent
        size = (batch, self.lstm.num_layers, self.lstm.hidden_size)
        self.hidden = self.lstm.weight_hh_l0.detach().new_zeros(size)
        self.cell = torch.zeros_like(self.hidden)

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        if not x.shape[1]:
            return x
        most = MAX_UNROLLED_STEPS if self.rounded is None else MAX_UNROLLED_STEPS_BFLOAT16
        if x.shape[1] <= most:
            y = self._step_by_step(x.transpose(0, 1).to(self.hidden.dtype))
        else:
            y = self._at_once(x.transpose(0, 1))
        y = y.transpose(0, 1).to(x.dtype)
        return y + x if self.skip else y

    def _at_once(self, x: torch.Tensor) -> torch.Tensor:
        states = (self.hidden, self.cell)
        before = tuple(state.transpose(0, 1).to(x.dtype).contiguous() for state in states)
        y, after = (self.rounded or self.lstm)(x, before)
        self.hidden, self.cell = (s.transpose(0, 1).to(self.hidden.dtype) for s in after)
        return y

    def _step_by_step(self, x: torch.Tensor) -> torch.Tensor:
        states = []
        # one layer after the other: its recurrent weights stay in the cache
        for layer, w_h in enumerate(self.recurrent):
            w_x, _, b_x, b_h = self.lstm.all_weights[layer]
            h, c = self.hidden[:, layer], self.cell[:, layer]
            outputs = x.new_empty(*x.shape[:2], self.lstm.hidden_size)
            for gates, output in zip(F.linear(x, w_x, b_x + b_h), outputs, strict=True):
                if len(h) == 1:
                    gates[0].addmv_(w_h.t(), h[0])
                else:
                    gates.addmm_(h, w_h)
                i, f, g, o = gates.chunk(4, dim=1)
                c = torch.addcmul(i.sigmoid_().mul_(g.tanh_()), f.sigmoid_(), c)
                h = torch.mul(o.sigmoid_(), c.tanh(), out=output)
            states.append((h, c))
            x = outputs
        self.hidden, self.cell = (torch.stack(s, dim=1) for s in zip(*states, strict=True))
        return x


class PointwiseStream(Stream):
    """An activation by itself."""

    def __init__(self, act: Activation) -> None:
        self.act = act

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        y = torch.empty_like(x)
        self.act(x, y)
        return y
