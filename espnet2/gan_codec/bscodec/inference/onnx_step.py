"""One step of coding live as ONNX graphs: some frames and a state in, frames and a state out.

Every layer keeps the inputs that its next output still needs, as the streams do, but from the
first step on: its state begins as zeros, and what it gives before the signal's first and after its
last frame is made zero, which is what the layers pad with.  So all steps have one shape.  Outputs
come ``delay`` frames after their inputs.  For the spectral networks at one frame a hop, as in
``bscodec-mini``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.inference.onnx_graphs import Search
from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank
from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator
from espnet2.gan_codec.bscodec.model.networks import SpectralDecoder, SpectralEncoder

UNKNOWN_END = 2**40


def has_steps(generator: BSCodecGenerator) -> bool:
    """Whether this module has the generator's steps."""
    filterbank = generator.filterbank
    is_spectral = isinstance(generator.encoders[0], SpectralEncoder)
    return is_spectral and isinstance(filterbank, MDCTFilterbank) and filterbank.frame_hops == 1


class _Memory:
    """The layers' states within one step: taken in their order, and put together anew.

    ``sizes`` of all states are noted when a step runs without a state: all zeros.
    """

    def __init__(
        self, state: torch.Tensor | None, position: torch.Tensor, end: torch.Tensor
    ) -> None:
        self.state, self.position, self.end = state, position, end
        self.taken = 0
        self.masks: dict[tuple[int, int], torch.Tensor] = {}
        self.new: list[torch.Tensor] = []

    def extend(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """Put the ``count`` last inputs of the steps before in front of x (B, n, C)."""
        size = count * x.shape[2]
        if self.state is None:
            before = x.new_zeros(x.shape[0], count, x.shape[2])
        else:
            before = self.state[:, self.taken : self.taken + size]
            before = before.reshape(-1, count, x.shape[2])
        self.taken += size
        x = torch.cat([before, x], dim=1)
        self.new.append(x[:, -count:].flatten(1))
        return x

    def mask(self, x: torch.Tensor, delay: int, more: int = 0) -> torch.Tensor:
        """Make zero what x (B, n, C) has before frame 0 and from frame ``end + more`` on."""
        if (delay, more) not in self.masks:  # all bands share them
            frames = torch.arange(x.shape[1]) + self.position - delay
            inside = (frames >= 0) & (frames < self.end + more)
            self.masks[delay, more] = inside[None, :, None].to(x.dtype)
        return x * self.masks[delay, more]

    def delayed(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """x (B, n, C) from ``count`` frames before."""
        return self.extend(x, count)[:, :-count]

    @property
    def result(self) -> torch.Tensor:
        return torch.cat(self.new, dim=1)


class _Step(nn.Module):
    """What both have in common: the delay in frames, and the numbers of a state a signal."""

    delay = 0

    def state_size(self, x: torch.Tensor) -> int:
        """Numbers that a state has for each signal; ``x``: an input of one frame or more."""
        memory = _Memory(None, torch.tensor(0), torch.tensor(1))
        self._run(x, memory)
        return memory.taken

    def forward(
        self, x: torch.Tensor, state: torch.Tensor, position: torch.Tensor, end: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the next frames.

        Args:
            x: audio (B, n * hop) float32 or codes (B, N, n) int64, n >= 1; zeros from ``end`` on.
            state: (B, S) float32: zeros, then what the last step returned.
            position: () int64, frames of all steps before.
            end: () int64, frames of the whole signal; as long as it is not known, UNKNOWN_END.

        Returns:
            The output's frames from ``position - delay`` on, as many as were taken, and the state.
        """
        memory = _Memory(state, position, end)
        return self._run(x, memory), memory.result

    def _run(self, x: torch.Tensor, memory: _Memory) -> torch.Tensor:
        raise NotImplementedError

    def _blocks(
        self, blocks: nn.Module, x: torch.Tensor, memory: _Memory, delay: int, more: int
    ) -> tuple[torch.Tensor, int]:
        """ConvNeXt blocks of x (B, n, C), ``delay`` frames late; how late their output is."""
        for block in _children(blocks):
            reach = int(block.depthwise.padding[0])
            whole = memory.extend(x, 2 * reach)
            y = _convolved(block.depthwise, whole)
            delay += reach
            x = block.after_depthwise(whole[:, reach:-reach], y)
            x = memory.mask(x, delay, more)
        return x, delay


class EncoderStep(_Step):
    """Audio (B, n * hop) to codes (B, N, n)."""

    def __init__(self, generator: BSCodecGenerator) -> None:
        super().__init__()
        self.filterbank: Any = generator.filterbank
        self.encoders: Any = generator.encoders
        self.search = Search(generator.quantizer)
        encoder: Any = self.encoders[0]
        self.delay = int(encoder.embed.padding[0]) + 1
        self.delay += _reach(encoder.blocks) + _reach(encoder.deep_blocks)

    def _run(self, audio: torch.Tensor, memory: _Memory) -> torch.Tensor:
        hops = audio.reshape(audio.shape[0], -1, self.filterbank.hop)
        pairs = memory.extend(hops, 1)
        bins = torch.cat([pairs[:, :-1], pairs[:, 1:]], dim=2) @ self.filterbank.basis.t()
        bands = bins.split(self.filterbank.channels, dim=2)
        both = zip(self.encoders, bands, strict=True)
        latents = [self._encode(encoder, band, memory) for encoder, band in both]
        return self.search([x.transpose(1, 2) for x in latents])

    def _encode(
        self, encoder: SpectralEncoder, bins: torch.Tensor, memory: _Memory
    ) -> torch.Tensor:
        features = memory.mask(encoder.features(bins), 0, 1)
        delay = int(encoder.embed.padding[0])
        x = _convolved(encoder.embed, memory.extend(features, 2 * delay))
        x, delay = self._blocks(encoder.blocks, memory.mask(x, delay, 1), memory, delay, 1)
        x, delay = _convolved(encoder.decimate, memory.extend(x, 1)), delay + 1
        x, delay = self._blocks(encoder.deep_blocks, memory.mask(x, delay), memory, delay, 0)
        skip = memory.extend(features[..., : encoder.coded], 1)
        skip = memory.delayed(_convolved(encoder.linear_path, skip), delay - 1)
        return encoder.project(encoder.norm(x)) + skip


class DecoderStep(_Step):
    """Codes (B, N, n) to audio (B, n * hop); ``band_audio``: of each band, (B, N, n * hop)."""

    def __init__(self, generator: BSCodecGenerator, band_audio: bool = False) -> None:
        super().__init__()
        self.band_audio = band_audio
        self.filterbank: Any = generator.filterbank
        self.decoders: Any = generator.decoders
        self.quantizer = generator.quantizer
        decoder: Any = self.decoders[0]
        self.delay = int(decoder.embed.padding[0]) + 1
        self.delay += _reach(decoder.blocks) + _reach(decoder.deep_blocks)

    def _run(self, codes: torch.Tensor, memory: _Memory) -> torch.Tensor:
        latents = self.quantizer.decode(codes)
        both = zip(self.decoders, latents, strict=True)
        bands = [self._decode(d, x.transpose(1, 2), memory) for d, x in both]
        if not self.band_audio:
            return self._synthesis(torch.cat(bands, dim=2), self.filterbank.basis, memory)
        bases = self.filterbank.basis.split(self.filterbank.channels)
        both = zip(bands, bases, strict=True)
        return torch.stack([self._synthesis(bins, basis, memory) for bins, basis in both], dim=1)

    def _synthesis(self, bins: torch.Tensor, basis: torch.Tensor, memory: _Memory) -> torch.Tensor:
        halves, hop = memory.extend(bins @ basis, 1), self.filterbank.hop
        return (halves[:, 1:, :hop] + halves[:, :-1, hop:]).flatten(1)

    def _decode(
        self, decoder: SpectralDecoder, latents: torch.Tensor, memory: _Memory
    ) -> torch.Tensor:
        latents = memory.mask(latents, 0)
        delay = int(decoder.embed.padding[0])
        x = _convolved(decoder.embed, memory.extend(latents, 2 * delay))
        x = memory.mask(decoder.embed_norm(x), delay)
        x, delay = self._blocks(decoder.deep_blocks, x, memory, delay, 0)
        x = memory.mask(_overlapped(decoder.interpolate, memory.extend(x, 1)), delay, 1)
        x, delay = self._blocks(decoder.blocks, x, memory, delay, 1)
        skip = _overlapped(decoder.linear_path, memory.extend(latents, 1))
        bins = decoder.coefficients(decoder.project(decoder.norm(x)), memory.delayed(skip, delay))
        return memory.mask(bins, delay, 1)


def _children(blocks: nn.Module) -> Iterator[Any]:
    yield from blocks.children()


def _reach(blocks: nn.Module) -> int:
    return sum(int(block.depthwise.padding[0]) for block in _children(blocks))


def _convolved(conv: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """A convolution of x (B, n, C) without padding, at stride 1."""
    return F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, groups=conv.groups).transpose(1, 2)


def _overlapped(conv: nn.ConvTranspose1d, x: torch.Tensor) -> torch.Tensor:
    """A transposed one of two taps: frames under two inputs each, (B, n + 1, C) to (B, n, C')."""
    y = F.conv_transpose1d(x.transpose(1, 2), conv.weight, conv.bias).transpose(1, 2)
    return y[:, 1:-1]
