"""The two steps of a batch: the published losses and gradients, in less time and memory.

The steps share their passes (:mod:`.step_cache`, :mod:`.shared_discriminator`), the audio is
augmented on its device, the networks may run in bfloat16, and on a GPU the generator step may be
one CUDA graph.  The model knows nothing of all that: it hands its step over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec, Losses, StepOutput
from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.distributed import is_distributed
from espnet2.gan_codec.bscodec.model.generator import GeneratorOutput
from espnet2.gan_codec.bscodec.training.augmentation import Augmentation
from espnet2.gan_codec.bscodec.training.codebook_statistics import CodebookStatistics
from espnet2.gan_codec.bscodec.training.cuda_graph import GraphedStep, check_graph
from espnet2.gan_codec.bscodec.training.shared_discriminator import (
    discriminate,
    through_discriminator,
)
from espnet2.gan_codec.bscodec.training.step_cache import StepCache


class GANStep(nn.Module):
    """The training step of one model, which is handed in at each call.

    Args:
        conf: ``codec_conf``, checked and complete.
        config: the generator's.

    Raises:
        ConfigError: a CUDA graph of a model that allows none.
    """

    def __init__(self, conf: Mapping[str, Any], config: GeneratorConfig) -> None:
        super().__init__()
        self.statistics = CodebookStatistics(config.codebook_sizes)
        augment = conf["augment_params"]
        self.augmentation = Augmentation(augment, conf["sampling_rate"]) if augment else None
        self.shares_passes = conf["cache_generator_outputs"]
        self.use_bf16 = conf["use_bf16"]
        self.use_cuda_graph = conf["use_cuda_graph"]
        if self.use_cuda_graph:
            check_graph(conf, config)
        self.graphed: GraphedStep | None = None
        self.cache: StepCache | None = None

    def forward(
        self, model: BandSplitCodec, audio: torch.Tensor, forward_generator: bool
    ) -> StepOutput:
        """The generator's or the discriminator's step over audio (B, T)."""
        graphed = self._graphed_step(model, audio) if forward_generator else None
        if graphed is not None:
            loss, losses, codes = graphed(audio)
            self.statistics.update(codes)
            return loss, losses | {"loss": loss.detach()} | self.statistics.stats()
        if model.training and self.augmentation is not None:
            audio = self.augmentation.of_batch(audio)
        step = self._generator_step if forward_generator else self._discriminator_step
        with self._precision(audio.device):
            return step(model, audio.unsqueeze(1))

    def _precision(self, device: torch.device) -> contextlib.AbstractContextManager:
        # an autocast that is off would end the trainer's own
        if not self.use_bf16:
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _graphed_step(self, model: BandSplitCodec, audio: torch.Tensor) -> GraphedStep | None:
        """The CUDA graph of the generator step of audio (B, T), where there may be one."""
        if not (self.use_cuda_graph and model.training and audio.is_cuda) or is_distributed():
            return None
        if self.graphed is None:
            self.graphed = GraphedStep(model, audio, self.augmentation, self.use_bf16)
        # an epoch's last batch may be smaller
        return self.graphed if audio.shape == self.graphed.shape else None

    def _generator_step(self, model: BandSplitCodec, audio: torch.Tensor) -> StepOutput:
        """The discriminator's parameters get no gradient."""
        cache = self._take_cache(audio)
        if cache is not None and cache.has_graph:
            output = cache.output
        else:
            output = self._generate(model, audio, for_losses=True)
            if self._shares(model):
                self.cache = StepCache.of_generator(audio, output)
        losses = self._adversarial_losses(model, audio, output.audio)
        losses |= model.waveform_losses(audio, output)
        losses |= model.spectrogram_losses(audio, output)
        loss, stats = model.generator_loss(losses)
        return loss, stats | (self.statistics.stats() if model.training else {})

    def _discriminator_step(self, model: BandSplitCodec, audio: torch.Tensor) -> StepOutput:
        cache = self._take_cache(audio)
        shared = cache.discriminator if cache is not None else None
        if shared is not None and shared.is_current(model.discriminator):
            return model.discriminator_loss(shared.fake, shared.real)
        if cache is not None:
            output = cache.output
        else:
            shares = self._shares(model)
            with torch.set_grad_enabled(shares and torch.is_grad_enabled()):
                output = self._generate(model, audio, for_losses=shares)
            if shares:
                self.cache = StepCache.of_discriminator(audio, output)
        fake = model.discriminator(output.audio.detach())
        return model.discriminator_loss(fake, model.discriminator(audio))

    def _shares(self, model: BandSplitCodec) -> bool:
        return self.shares_passes and model.training

    def _take_cache(self, audio: torch.Tensor) -> StepCache | None:
        """What the step before left, if it was of this batch; it is used once."""
        cache, self.cache = self.cache, None
        return cache if cache is not None and cache.is_of(audio) else None

    def _generate(
        self, model: BandSplitCodec, audio: torch.Tensor, for_losses: bool
    ) -> GeneratorOutput:
        """Run the generator: all that its losses need, or the audio alone."""
        output = model.generator(
            audio,
            use_dual_decoder=model.use_dual_decoder and for_losses,
            with_bands=model.use_band_loss and for_losses,
        )
        if model.training:
            self.statistics.update(output.codes)
        return output

    def _adversarial_losses(
        self, model: BandSplitCodec, audio: torch.Tensor, audio_hat: torch.Tensor
    ) -> Losses:
        if not model.uses_discriminator:
            return {}
        cache = self.cache if torch.is_grad_enabled() and not is_distributed() else None
        outputs = discriminate(model.discriminator, audio_hat, audio, share=cache is not None)
        if cache is not None:
            cache.discriminator = outputs
        losses = model.adversarial_losses(outputs.fake, outputs.real)
        return through_discriminator(audio_hat, outputs, losses)
