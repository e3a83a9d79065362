"""The generator step as one CUDA graph.

A small codec is hundreds of layers of little work each, and a GPU waits most of the time for the
next kernel launch.  A CUDA graph launches augmentation, forward and backward pass at once; the
gradients are ready when ``loss.backward()`` asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec, Losses
from espnet2.gan_codec.bscodec.model.checks import require
from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.training.augmentation import Augmentation

WARM_UPS = 3  # before the capture, for what libraries choose and allocate at first


def check_graph(conf: Mapping[str, Any], config: GeneratorConfig) -> None:
    """Raise ConfigError, in one line, for a ``codec_conf`` whose step cannot be one graph."""
    key = "use_cuda_graph"
    feature_match = conf["lambda_feat_match"] if conf["use_feat_match_loss"] else 0
    require(not (conf["lambda_adv"] or feature_match), key, "false with a discriminator", True)
    simvq = config.quantize_choice == "band_simvq" and not config.quantize_refit_interval
    expected = "false unless quantize_choice is band_simvq and quantize_refit_interval is 0"
    require(simvq, key, expected, True)


class GraphedStep:
    """The generator step for batches of one shape.

    Args:
        model: a codec in training, on a GPU.
        audio: (B, T), a batch of the shape to come, before augmentation.
        augmentation: of the audio; ``None`` leaves it as it is.
        use_bf16: run the networks under autocast to bfloat16.
    """

    def __init__(
        self,
        model: BandSplitCodec,
        audio: torch.Tensor,
        augmentation: Augmentation | None,
        use_bf16: bool,
    ) -> None:
        self.shape = audio.shape
        self._quantizer: Any = model.generator.quantizer
        self._model, self._augmentation, self._use_bf16 = model, augmentation, use_bf16
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
        """The step itself, into tensors that every replay overwrites."""
        model, augment = self._model, self._augmentation
        with torch.autocast("cuda", torch.bfloat16, enabled=self._use_bf16, cache_enabled=False):
            audio = self._audio if augment is None else augment(self._audio)
            audio = audio.unsqueeze(1)
            # moving codes draws a number of them that depends on data, which a graph cannot
            with self._quantizer.adapting_later():
                output = model.generator(audio, model.use_dual_decoder, model.use_band_loss)
            losses = model.waveform_losses(audio, output)
            losses |= model.spectrogram_losses(audio, output)
        parameters = [p for p in model.generator.parameters() if p.requires_grad]
        loss, _ = model.generator_loss(losses)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        used = [pair for pair in zip(parameters, gradients, strict=True) if pair[1] is not None]
        self._parameters = [parameter for parameter, _ in used]
        self._gradient = torch.cat([gradient.flatten() for _, gradient in used])
        self._names, self._losses = list(losses), torch.stack(list(losses.values())).detach()
        self._latents = [x.detach() for x in output.latents]
        self._quantized = [x.detach() for x in output.quantized]
        self._codes = output.codes

    def __call__(self, audio: torch.Tensor) -> tuple[torch.Tensor, Losses, list[torch.Tensor]]:
        """Run the step over audio (B, T).

        Returns:
            the loss, whose backward pass, before the next call, gives the generator's parameters
            their gradients; its parts by name, without gradient; every band's codes (B, F).
        """
        self._audio.copy_(audio)
        self._replay()
        self._quantizer.adapt(self._latents, self._quantized, self._codes)
        losses = self._losses.clone()
        loss = _Replayed.apply(self._parameters[0], losses.sum(), self)
        return loss, dict(zip(self._names, losses.unbind(), strict=True)), self._codes

    def add_gradients(self, factor: torch.Tensor) -> None:
        """Add ``factor`` (scalar) times the gradients of the last call to the parameters'."""
        sizes = [parameter.numel() for parameter in self._parameters]
        parts = (self._gradient * factor).split(sizes)  # one product for all, which is a copy too
        for parameter, part in zip(self._parameters, parts, strict=True):
            gradient, before = part.view_as(parameter), parameter.grad
            parameter.grad = gradient if before is None else before + gradient


class _Replayed(torch.autograd.Function):
    """A loss whose gradients the graph has already computed."""

    @staticmethod
    def forward(
        ctx: Any, parameter: torch.Tensor, loss: torch.Tensor, step: GraphedStep
    ) -> torch.Tensor:
        ctx.step = step
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: torch.Tensor) -> tuple[None, None, None]:
        ctx.step.add_gradients(factor)
        return None, None, None
