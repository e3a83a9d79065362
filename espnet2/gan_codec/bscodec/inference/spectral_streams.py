"""The spectral networks as streams, channels last between the layers.

Their convolutions see zeros beyond the ends of the signal.  A stream puts in those of the start
beforehand, keeps the inputs that the next window still needs, and puts in those of the end when
it comes.

With rounded weights the large products are in bfloat16; features, layer norms, the sums of blocks,
skip projections, and the last layers, which give latents and log gains, stay in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.half_precision import RoundedWeights
from espnet2.gan_codec.bscodec.inference.stream import Chain, ChannelsLast, Stream
from espnet2.gan_codec.bscodec.model.networks.depthwise import convolve_valid
from espnet2.gan_codec.bscodec.model.networks.spectral import (
    ConvNeXtBlock,
    SpectralDecoder,
    SpectralEncoder,
)


def encoder_stream(
    encoder: SpectralEncoder, batch: int, rounded: RoundedWeights | None = None
) -> Stream:
    """MDCT bins (B, bins, n) to latents (B, hidden_dim, m)."""
    networks = Chain(
        [
            ConvStream(encoder.embed, batch, rounded),
            *_block_streams(encoder.blocks, batch, rounded),
            ConvStream(encoder.decimate, batch, rounded),
            *_block_streams(encoder.deep_blocks, batch, rounded),
            Pointwise(lambda x: encoder.project(encoder.norm(x))),
        ]
    )
    skip = Chain(
        [Pointwise(lambda x: x[..., : encoder.coded]), ConvStream(encoder.linear_path, batch)]
    )
    both = SideBySide(networks, skip, torch.add)
    return SpectralStream(encoder, [Pointwise(encoder.features), both], rounded)


def decoder_stream(
    decoder: SpectralDecoder, batch: int, rounded: RoundedWeights | None = None
) -> Stream:
    """Latents (B, hidden_dim, n) to MDCT bins (B, bins, m)."""
    networks = Chain(
        [
            ConvStream(decoder.embed, batch, rounded),
            Pointwise(decoder.embed_norm),
            *_block_streams(decoder.deep_blocks, batch, rounded),
            TransposedConvStream(decoder.interpolate, batch, rounded),
            *_block_streams(decoder.blocks, batch, rounded),
            Pointwise(lambda x: decoder.project(decoder.norm(x))),
        ]
    )
    skip = TransposedConvStream(decoder.linear_path, batch)
    both = SideBySide(networks, skip, decoder.coefficients)
    return SpectralStream(decoder, [both], rounded)


def _block_streams(
    blocks: Iterable[Any], batch: int, rounded: RoundedWeights | None
) -> Iterator[Stream]:
    return (BlockStream(block, batch, rounded) for block in blocks)


class SpectralStream(ChannelsLast):
    """A network by its layers' streams; a signal that comes as a whole by the network itself."""

    state_keys = ("has_begun",)

    def __init__(
        self, network: nn.Module, streams: Sequence[Stream], rounded: RoundedWeights | None
    ) -> None:
        super().__init__(streams)
        self.network = network if rounded is None else None
        self.has_begun = False

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        if last and x.shape[2] and not self.has_begun and self.network is not None:
            return self.network(x)
        self.has_begun = True
        return super().push(x, last)


class Pointwise(Stream):
    """A function of each instant by itself."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.function = function

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        return self.function(x)


class ConvStream(Stream):
    """``Conv1d`` over a signal (B, n, C) with zeros beyond its ends."""

    state_keys = ("buffer",)  # (B, less than a window, C): inputs that the next output needs

    def __init__(self, conv: nn.Conv1d, batch: int, rounded: RoundedWeights | None = None) -> None:
        self.conv, self.rounded = conv, rounded
        (self.size,), (self.step,) = conv.kernel_size, conv.stride
        self.padding = int(conv.padding[0])
        self.buffer = conv.weight.new_zeros(batch, self.padding, conv.in_channels)

    def inputs_for(self, outputs: int) -> int:
        return (outputs - 1) * self.step + self.size - self.padding

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        x = self.windows(x, last)
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, self.conv.out_channels)
        weight, bias = self.conv.weight, self.conv.bias
        if self.rounded is not None:
            half = self.rounded
            return F.conv1d(x.mT.bfloat16(), half(weight), half(bias), self.step).mT.float()
        # summed in the module's order: equal to the last digits
        return F.conv1d(x.mT, weight, bias, self.step).mT

    def windows(self, x: torch.Tensor, last: bool) -> torch.Tensor:
        """Return the inputs (B, L, C) under all windows that are complete by now."""
        parts = [self.buffer, x]
        if last:
            parts.append(x.new_zeros(len(x), self.padding, x.shape[2]))
        x = torch.cat(parts, dim=1)
        count = max(0, (x.shape[1] - self.size) // self.step + 1)
        left = x[:, count * self.step :]
        self.buffer = left if last else left.clone()  # not the whole chunk for its sake
        return x[:, : (count - 1) * self.step + self.size if count else 0]


class BlockStream(ConvStream):
    """``ConvNeXtBlock``: the input under the middle of each window is added."""

    def __init__(
        self, block: ConvNeXtBlock, batch: int, rounded: RoundedWeights | None = None
    ) -> None:
        super().__init__(block.depthwise, batch, rounded)
        self.block = block

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        x = self.windows(x, last)
        if not x.shape[1]:
            return x
        y = convolve_valid(x, self.conv)
        x = x[:, self.padding : self.padding + y.shape[1]]
        if self.rounded is None:
            return self.block.after_depthwise(x, y)
        hidden = F.gelu(self.rounded.linear(self.block.norm(y), self.block.widen))
        return torch.addcmul(
            x, self.block.scale, self.rounded.linear(hidden, self.block.narrow).float()
        )


class TransposedConvStream(Stream):
    """``ConvTranspose1d`` whose output loses ``padding`` samples at both ends.

    An input's output overlaps the next ones': the sum is carried as far as it reaches.
    """

    state_keys = ("overlap", "skip")

    def __init__(
        self, conv: nn.ConvTranspose1d, batch: int, rounded: RoundedWeights | None = None
    ) -> None:
        self.conv, self.rounded = conv, rounded
        (size,), (self.step,) = conv.kernel_size, conv.stride
        self.padding = int(conv.padding[0])
        self.overlap = conv.weight.new_zeros(batch, size - self.step, conv.out_channels)
        self.skip = self.padding

    def inputs_for(self, outputs: int) -> int:
        return -(-(outputs + self.padding) // self.step)

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        done = x.shape[1] * self.step
        y = F.pad(self.overlap, (0, 0, 0, done))
        if done:
            half, weight = self.rounded, self.conv.weight
            if half is None:
                y += F.conv_transpose1d(x.mT, weight, stride=self.step).mT
            else:
                y += F.conv_transpose1d(x.mT.bfloat16(), half(weight), stride=self.step).mT
        self.overlap = y[:, done:].clone()
        if last:
            done = y.shape[1] - self.padding
        y = y[:, self.skip : done]
        if self.conv.bias is not None:
            y = y + self.conv.bias
        self.skip = max(0, self.skip - done)
        return y


class SideBySide(Stream):
    """Two streams of one signal, and a function of what both have for the same instants.

    Signals are (B, n, C); what one stream gives before the other is kept.
    """

    state_keys = ("left", "right")

    def __init__(
        self,
        first: Stream,
        second: Stream,
        combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> None:
        self.first, self.second, self.combine = first, second, combine
        self.left: torch.Tensor | None = None
        self.right: torch.Tensor | None = None

    @property
    def children(self) -> Mapping[str, Stream]:
        return {"first": self.first, "second": self.second}

    def inputs_for(self, outputs: int) -> int:
        return max(self.first.inputs_for(outputs), self.second.inputs_for(outputs))

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        a = _append(self.left, self.first.push(x, last))
        b = _append(self.right, self.second.push(x, last))
        count = min(a.shape[1], b.shape[1])
        self.left, self.right = a[:, count:].clone(), b[:, count:].clone()
        return self.combine(a[:, :count], b[:, :count])


def _append(kept: torch.Tensor | None, new: torch.Tensor) -> torch.Tensor:
    return new if kept is None else torch.cat([kept, new], dim=1)
