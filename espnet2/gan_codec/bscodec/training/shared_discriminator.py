"""The discriminator's passes over one batch, which the two steps of that batch can share.

With the generator step first, the discriminator has not been updated when its own step comes: its
outputs for the batch and for the generator's audio are the same.  The generator step needs the
gradient with respect to that audio alone, the discriminator step those of its parameters, and one
graph serves for both.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from espnet2.gan_codec.bscodec.model.discriminators import FeatureMaps


@dataclasses.dataclass
class DiscriminatorOutputs:
    """A discriminator's outputs for a batch, with their graph.

    Attributes:
        fake: for the generator's audio, feature maps of each sub-discriminator.
        real: for the original audio.
        audio_hat: the generator's audio (B, 1, T), detached from the generator.
        shared: the graph is kept for the discriminator step.
        versions: of the discriminator's parameters, see :func:`versions_of`.
        generator_is_done: the generator's backward has been through the graph.
    """

    fake: FeatureMaps
    real: FeatureMaps
    audio_hat: torch.Tensor
    shared: bool
    versions: tuple[int, ...]
    generator_is_done: bool = False

    def is_current(self, discriminator: nn.Module) -> bool:
        """Whether the discriminator step may go backward through this graph."""
        return (
            self.shared and self.generator_is_done and self.versions == versions_of(discriminator)
        )


def versions_of(module: nn.Module) -> tuple[int, ...]:
    """Numbers that change whenever a parameter or a buffer does, in place or by another one."""
    tensors = [*module.parameters(), *module.buffers()]
    return tuple(number for t in tensors for number in (id(t), t._version))


def discriminate(
    discriminator: nn.Module, audio_hat: torch.Tensor, audio: torch.Tensor, share: bool
) -> DiscriminatorOutputs:
    """Run the discriminator for the generator step.

    Args:
        discriminator: takes (B, 1, T), returns lists of feature maps.
        audio_hat, audio: (B, 1, T) decoded and original.
        share: keep the graph of both passes for the discriminator step.
    """
    with_graph = torch.is_grad_enabled()
    audio_hat = audio_hat.detach().requires_grad_(with_graph)
    fake = discriminator(audio_hat)
    with torch.set_grad_enabled(share and with_graph):
        real = discriminator(audio)
    return DiscriminatorOutputs(fake, real, audio_hat, share, versions_of(discriminator))


def through_discriminator(
    audio_hat: torch.Tensor, outputs: DiscriminatorOutputs, losses: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The same losses, with gradients that reach ``audio_hat`` alone.

    The discriminator's parameters get none, nor is the work for them done.

    Args:
        audio_hat: (B, 1, T) with the generator's graph.
        outputs: of :func:`discriminate` for it.
        losses: scalars computed from ``outputs``.
    """
    if not torch.is_grad_enabled():
        return losses
    # in a tuple, which autograd does not look into: else the graph would go on there
    passed = _ThroughDiscriminator.apply(audio_hat, outputs, tuple(losses.values()))
    return dict(zip(losses, passed, strict=True))


class _ThroughDiscriminator(torch.autograd.Function):
    """The values of losses, and backward their gradient with respect to the audio.

    The gradient is taken inside of backward, so that it is scaled as the trainer scales its loss:
    that keeps float16 within its range.
    """

    @staticmethod
    def forward(
        ctx: Any,
        audio_hat: torch.Tensor,
        outputs: DiscriminatorOutputs,
        values: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, ...]:
        ctx.outputs, ctx.values = outputs, values
        return tuple(value.detach().clone() for value in values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        outputs, values = ctx.outputs, ctx.values
        (grad,) = torch.autograd.grad(
            values, outputs.audio_hat, grads, retain_graph=outputs.shared
        )
        outputs.generator_is_done = True
        del ctx.outputs, ctx.values  # with them goes the graph, unless it is shared
        return grad, None, None
