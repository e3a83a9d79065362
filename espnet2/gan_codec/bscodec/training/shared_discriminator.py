"""The discriminator's passes over one batch, which the two turns of a step can share.

With the generator's turn first, the discriminator has not been stepped when its own turn comes:
what it says about the batch and about the generator's output is what it said before.  The
generator's turn needs the gradient with respect to that output alone, the discriminator's turn
those of its parameters, and one graph serves for both.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch.autograd.function import FunctionCtx, once_differentiable

Judgement = list[list[torch.Tensor]]


@dataclasses.dataclass
class Judged:
    """What a discriminator says about a batch, with its graph.

    Attributes:
        fake: of the generator's output, feature maps of each sub-discriminator.
        real: of the recordings.
        audio_hat: the generator's output (B, 1, T), cut off from the generator.
        shared: the graph is kept for the discriminator's turn.
        versions: the discriminator's parameters then, see :func:`versions_of`.
        generator_is_done: the generator's backward has been through the graph.
    """

    fake: Judgement
    real: Judgement
    audio_hat: torch.Tensor
    shared: bool
    versions: tuple[int, ...]
    generator_is_done: bool = False

    def is_current(self, discriminator: nn.Module) -> bool:
        """Whether the discriminator's turn may go backward through this graph."""
        return (
            self.shared and self.generator_is_done and self.versions == versions_of(discriminator)
        )


def versions_of(module: nn.Module) -> tuple[int, ...]:
    """Numbers that change whenever a parameter or a buffer does, in place or by another one."""
    tensors = [*module.parameters(), *module.buffers()]
    return tuple(number for t in tensors for number in (id(t), t._version))


def judge(
    discriminator: nn.Module, audio_hat: torch.Tensor, audio: torch.Tensor, share: bool
) -> Judged:
    """Run the discriminator for the generator's turn.

    Args:
        discriminator: takes (B, 1, T), returns lists of feature maps.
        audio_hat, audio: (B, 1, T) of the generator and recorded.
        share: keep the graph of both passes for the discriminator's turn.
    """
    with_graph = torch.is_grad_enabled()
    audio_hat = audio_hat.detach().requires_grad_(with_graph)
    fake = discriminator(audio_hat)
    with torch.set_grad_enabled(share and with_graph):
        real = discriminator(audio)
    return Judged(fake, real, audio_hat, share, versions_of(discriminator))


def pass_gradients(
    audio_hat: torch.Tensor, judged: Judged, losses: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The same losses of what was judged, with gradients that reach ``audio_hat`` alone.

    The discriminator's parameters get none, nor is the work for them done.

    Args:
        audio_hat: (B, 1, T) with the generator's graph.
        judged: what :func:`judge` says of it.
        losses: scalars computed from ``judged``.
    """
    if not torch.is_grad_enabled():
        return losses
    # in a tuple, which autograd does not look into: else the graph would go on there
    passed = _ThroughDiscriminator.apply(audio_hat, judged, tuple(losses.values()))
    return dict(zip(losses, passed, strict=True))


class _ThroughDiscriminator(torch.autograd.Function):
    """The values of losses, and backward their gradient with respect to the audio.

    The gradient is taken inside of backward, so that it is scaled as the trainer scales its loss:
    that keeps float16 within its range.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, audio_hat: torch.Tensor, judged: Judged, values: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        ctx.judged, ctx.values = judged, values
        return tuple(value.detach().clone() for value in values)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        judged, values = ctx.judged, ctx.values
        (grad,) = torch.autograd.grad(values, judged.audio_hat, grads, retain_graph=judged.shared)
        judged.generator_is_done = True
        del ctx.judged, ctx.values  # with them goes the graph, unless it is shared
        return grad, None, None
