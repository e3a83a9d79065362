"""BSCodec as ESPnet builds it: the model, with this package's training step and backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec, StepOutput
from espnet2.gan_codec.bscodec.training.backend import TrainingBackend
from espnet2.gan_codec.bscodec.training.gan_step import GANStep, StepCache

__all__ = ["BSCodec"]


class BSCodec(BandSplitCodec):
    __doc__ = BandSplitCodec.__doc__

    backend_class = TrainingBackend

    def set_up_training(self, conf: Mapping[str, Any]) -> None:
        """Make the training step that ``codec_conf`` describes."""
        self.training_step = GANStep(conf, self.config)

    def gan_step(self, audio: torch.Tensor, forward_generator: bool) -> StepOutput:
        """The step of :class:`BandSplitCodec`, in less time and memory."""
        return self.training_step(self, audio, forward_generator)

    @property
    def _cache(self) -> StepCache | None:
        """What the step before left to the next one; ESPnet's trainer resets it by this name."""
        return self.training_step.cache

    @_cache.setter
    def _cache(self, cache: StepCache | None) -> None:
        self.training_step.cache = cache
