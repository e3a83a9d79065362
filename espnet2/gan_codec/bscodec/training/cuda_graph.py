"""The generator's turn as one CUDA graph.

A small codec is hundreds of layers of little work each, and a GPU waits most of the time for the
next kernel to be launched.  A CUDA graph launches the changes of the audio, the forward pass and
the backward pass at once; the gradients lie ready when ``loss.backward()`` asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.autograd.function import FunctionCtx, once_differentiable

from espnet2.gan_codec.bscodec.model.config import require
from espnet2.gan_codec.bscodec.training.objectives import (
    Losses,
    spectrogram_losses,
    waveform_losses,
)

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.bscodec import BSCodec

WARM_UPS = 3  # before the capture, for what libraries choose and allocate at first


def check_graph(model: BSCodec) -> None:
    """Raise ConfigError, in one line, for a model whose turn cannot be one graph."""
    key, config = "use_cuda_graph", model.config
    alone = not (model.lambda_adv or model.lambda_feat_match)
    require(alone, key, "false with a discriminator", True)
    simvq = config.quantize_choice == "band_simvq" and not config.quantize_refit_interval
    expected = "false unless quantize_choice is band_simvq and quantize_refit_interval is 0"
    require(simvq, key, expected, True)


class GraphedTurn:
    """The generator's turn for batches of one shape.

    Args:
        model: a BSCodec in training, on a GPU.
        audio: (B, T), a batch of the shape to come, before it is augmented.
    """

    def __init__(self, model: BSCodec, audio: torch.Tensor) -> None:
        self.shape = audio.shape
        self._model = model
        self._audio = audio.clone()
        self._replay = self._capture()

    def _capture(self) -> Callable[[], None]:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        # of this thread alone: others may be loading batches
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._run()
        return graph.replay

    def _run(self) -> None:
        """The turn as it is, into tensors that every replay writes anew."""
        model = self._model
        with torch.autocast("cuda", torch.bfloat16, enabled=model.use_bf16, cache_enabled=False):
            audio = self._audio if model.augment is None else model.augment(self._audio)
            audio = audio.unsqueeze(1)
            # moving codes draws as many as it finds, which a graph cannot
            with model.generator.quantizer.adapting_later():
                output = model.generator(audio, model.use_dual_decoder, model.use_band_loss)
            losses = waveform_losses(model, audio, output)
            losses |= spectrogram_losses(model, audio, output)
        parameters = [p for p in model.generator.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(sum(losses.values()), parameters, allow_unused=True)
        used = [pair for pair in zip(parameters, gradients, strict=True) if pair[1] is not None]
        self._parameters = [parameter for parameter, _ in used]
        self._gradient = torch.cat([gradient.flatten() for _, gradient in used])
        self._names, self._losses = list(losses), torch.stack(list(losses.values())).detach()
        self._latents = [x.detach() for x in output.latents]
        self._quantized = [x.detach() for x in output.quantized]
        self._codes = output.codes

    def __call__(self, audio: torch.Tensor) -> tuple[torch.Tensor, Losses, list[torch.Tensor]]:
        """Run the turn of audio (B, T).

        Returns:
            the loss, whose backward pass, before the next call, gives the generator's parameters
            their gradients; its parts by name, without gradient; every band's codes (B, F).
        """
        self._audio.copy_(audio)
        self._replay()
        self._model.generator.quantizer.adapt(self._latents, self._quantized, self._codes)
        losses = self._losses.clone()
        loss = _Replayed.apply(self._parameters[0], losses.sum(), self)
        return loss, dict(zip(self._names, losses.unbind(), strict=True)), self._codes

    def give_gradients(self, factor: torch.Tensor) -> None:
        """Add ``factor`` (scalar) times the gradients of the last call to the parameters'."""
        sizes = [parameter.numel() for parameter in self._parameters]
        parts = (self._gradient * factor).split(sizes)  # one product for all, which is a copy too
        for parameter, part in zip(self._parameters, parts, strict=True):
            gradient, before = part.view_as(parameter), parameter.grad
            parameter.grad = gradient if before is None else before + gradient


class _Replayed(torch.autograd.Function):
    """A loss whose gradients the graph has already taken."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, parameter: torch.Tensor, loss: torch.Tensor, turn: GraphedTurn
    ) -> torch.Tensor:
        ctx.turn = turn
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, factor: torch.Tensor) -> tuple[None, None, None]:
        ctx.turn.give_gradients(factor)
        return None, None, None
