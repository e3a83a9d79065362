"""The generator's turn as one CUDA graph.

A small codec is hundreds of layers of little work each, and a GPU waits most of the time for the
next kernel to be launched.  A CUDA graph launches all of a forward pass, or all of its backward,
at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from espnet2.gan_codec.bscodec.config import require
from espnet2.gan_codec.bscodec.training.objectives import (
    Losses,
    spectrogram_losses,
    waveform_losses,
)

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.bscodec import BSCodec


def check_graph(model: BSCodec) -> None:
    """Raise ConfigError, in one line, for a model whose turn cannot be one graph."""
    key, config = "use_cuda_graph", model.config
    alone = not (model.lambda_adv or model.lambda_feat_match)
    require(alone, key, "false with a discriminator", True)
    simvq = config.quantize_choice == "band_simvq" and not config.quantize_refit_interval
    expected = "false unless quantize_choice is band_simvq and quantize_refit_interval is 0"
    require(simvq, key, expected, True)


class _Turn(nn.Module):
    """Audio to the generator's losses, and to what its quantizer adapts to."""

    def __init__(self, model: BSCodec) -> None:
        super().__init__()
        self.generator = model.generator
        self._model = (model,)  # in a tuple: it is no submodule, of which the graph would take all

    def forward(self, audio: torch.Tensor) -> tuple[Losses, tuple[list[torch.Tensor], ...]]:
        (model,) = self._model
        output = self.generator(audio, model.use_dual_decoder, model.use_band_loss)
        losses = waveform_losses(model, audio, output) | spectrogram_losses(model, audio, output)
        latents = [x.detach() for x in output.latents]
        quantized = [x.detach() for x in output.quantized]
        return losses, (latents, quantized, list(output.codes))


class GraphedLosses:
    """The generator's losses of batches of one shape, with one launch a direction.

    Args:
        model: a BSCodec in training, on a GPU.
        audio: (B, 1, T), a batch of the shape to come.
    """

    def __init__(self, model: BSCodec, audio: torch.Tensor) -> None:
        self.shape = audio.shape
        self.quantizer = model.generator.quantizer
        # moving codes waits for the GPU, which a graph cannot
        for layer in self.quantizer.layers:
            layer.adapts_later = True
        with torch.autocast("cuda", torch.bfloat16, enabled=model.use_bf16, cache_enabled=False):
            self._turn = torch.cuda.make_graphed_callables(
                _Turn(model), (audio.clone(),), allow_unused_input=True
            )
        for layer in self.quantizer.layers:
            layer.adapts_later = False

    def __call__(self, audio: torch.Tensor) -> tuple[Losses, list[torch.Tensor]]:
        """Return the losses of audio (B, 1, T) by name, and every band's codes (B, F)."""
        losses, seen = self._turn(audio)
        latents, quantized, codes = seen
        self.quantizer.adapt(latents, quantized, codes)
        return losses, codes
