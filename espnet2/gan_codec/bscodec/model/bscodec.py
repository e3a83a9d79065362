"""BSCodec as an ESPnet ``gan_codec`` model, as published: its facts, losses, steps and coding.

:class:`BandSplitCodec` computes everything the plain way; ``BSCodec``, which ESPnet builds, is the
same model with this package's training step and backend.

Source: "BSCodec: A Band-Split Neural Codec for High-Quality Universal Audio Reconstruction",
arXiv 2511.06150.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from espnet2.gan_codec.abs_gan_codec import AbsGANCodec
from espnet2.gan_codec.bscodec.model.backend import Backend
from espnet2.gan_codec.bscodec.model.checks import check_keys
from espnet2.gan_codec.bscodec.model.config import FLOAT32, GeneratorConfig, check_codec_conf
from espnet2.gan_codec.bscodec.model.discriminators import FeatureMaps, build_discriminator
from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator, GeneratorOutput
from espnet2.gan_codec.bscodec.model.losses import (
    ADVERSARIAL_DEFAULTS,
    FEATURE_DEFAULTS,
    MEL_DEFAULTS,
    build_losses,
)
from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.state_dict import adapt_state_dict, refuse_partial_load
from espnet2.torch_utils.device_funcs import force_gatherable

Losses = dict[str, torch.Tensor]
StepOutput = tuple[torch.Tensor, Losses]  # the loss, and what ESPnet is to report

_l1 = in_float32(F.l1_loss)


class BandSplitCodec(AbsGANCodec):
    """Band-split neural audio codec.

    The keyword arguments are ``codec_conf`` of the published training configs.

    Args:
        sampling_rate: in Hz.
        generator_params: see :class:`~espnet2.gan_codec.bscodec.model.config.GeneratorConfig`.
        discriminator_params: see :mod:`espnet2.gan_codec.bscodec.model.discriminators`.
        generator_adv_loss_params: ESPnet's ``GeneratorAdversarialLoss``.
        discriminator_adv_loss_params: ESPnet's ``DiscriminatorAdversarialLoss``.
        use_feat_match_loss: add feature matching.
        feat_match_loss_params: ESPnet's ``FeatureMatchLoss``.
        use_mel_loss: add the published multi-scale mel loss on audio and bands.
        mel_loss_params: ESPnet's ``MultiScaleMelSpectrogramLoss``.
        use_spectral_loss: add our multi-resolution spectral loss on the audio.
        spectral_loss_params: ``MultiResolutionSpectralLoss``.
        use_band_loss: add the L1 and mel losses of each band (published: yes).
        use_dual_decoder: add the mel loss of audio decoded from unquantized latents.
        lambda_*: weights of the losses; 0 skips the work.
        cache_generator_outputs: let the two steps of a batch share one generator pass, and if the
            generator's comes first, as it should, the discriminator's passes too.
        use_bf16: run the networks under autocast to bfloat16; losses differ a little then.
        use_cuda_graph: on a GPU, replay the generator step as one CUDA graph: about twice as
            fast for small networks.  Without discriminator, and with SimVQ without refits; of no
            effect on a CPU and where several processes train together.
        augment_params: augmentation of the training audio on its device.
        inference_precision: of coding, ``float32`` or ``bf16``: the large products in bfloat16,
            where the processor or GPU has units for it.

    Those from ``cache_generator_outputs`` to ``augment_params`` are the training step's: see
    :mod:`espnet2.gan_codec.bscodec.training`.

    Raises:
        ConfigError: on an unknown key or an impossible value, in one line.
    """

    backend_class: type[Backend] = Backend

    def __init__(
        self,
        sampling_rate: int = 24000,
        generator_params: dict[str, Any] = {},  # noqa: B006  (ESPnet prints the defaults)
        discriminator_params: dict[str, Any] = {},  # noqa: B006
        generator_adv_loss_params: dict[str, Any] = ADVERSARIAL_DEFAULTS,
        discriminator_adv_loss_params: dict[str, Any] = ADVERSARIAL_DEFAULTS,
        use_feat_match_loss: bool = True,
        feat_match_loss_params: dict[str, Any] = FEATURE_DEFAULTS,
        use_mel_loss: bool = True,
        mel_loss_params: dict[str, Any] = MEL_DEFAULTS,
        use_spectral_loss: bool = False,
        spectral_loss_params: dict[str, Any] = {},  # noqa: B006
        use_band_loss: bool = True,
        use_dual_decoder: bool = True,
        lambda_quantization: float = 1.0,
        lambda_reconstruct: float = 1.0,
        lambda_adv: float = 1.0,
        lambda_feat_match: float = 2.0,
        lambda_mel: float = 45.0,
        lambda_spectral: float = 1.0,
        cache_generator_outputs: bool = False,
        use_bf16: bool = False,
        use_cuda_graph: bool = False,
        augment_params: dict[str, Any] = {},  # noqa: B006
        inference_precision: str = FLOAT32,
        **unknown: Any,
    ) -> None:
        conf = {k: v for k, v in locals().items() if k not in ("self", "unknown", "__class__")}
        check_keys("", {**conf, **unknown}, [*conf])
        check_codec_conf(conf)
        super().__init__()
        self.config = GeneratorConfig.from_dict(generator_params, sampling_rate)
        self.generator = BSCodecGenerator(self.config, sampling_rate, self.backend_class())
        self.generator.backend.precision = inference_precision
        self.discriminator = build_discriminator(copy.deepcopy(dict(discriminator_params)))

        modules = build_losses(conf)
        self.generator_adv_loss: Any = modules["generator_adv"]
        self.discriminator_adv_loss: Any = modules["discriminator_adv"]
        self.feat_match_loss: Any = modules["feat_match"]
        self.mel_loss: Any = modules["mel"]
        self.spectral_loss: Any = modules["spectral"]
        self.use_band_loss = use_band_loss
        self.use_dual_decoder = use_dual_decoder
        self.lambda_quantization = lambda_quantization
        self.lambda_reconstruct = lambda_reconstruct
        self.lambda_adv = lambda_adv
        self.lambda_feat_match = lambda_feat_match if use_feat_match_loss else 0.0
        self.lambda_mel = lambda_mel
        self.lambda_spectral = lambda_spectral
        self.fs = sampling_rate
        self.register_load_state_dict_pre_hook(adapt_state_dict)
        self.register_load_state_dict_post_hook(refuse_partial_load)
        self.set_up_training(conf)

    def set_up_training(self, conf: Mapping[str, Any]) -> None:
        """For subclasses that train in another way: take what ``codec_conf`` says of it."""

    # ---- facts -------------------------------------------------------------------------

    @property
    def sampling_rate(self) -> int:
        """Samples per second, in Hz."""
        return self.fs

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """(low, high) edges in Hz, lowest band first."""
        return self.config.bands

    @property
    def num_bands(self) -> int:
        """Number of bands."""
        return len(self.config.bands)

    @property
    def streams(self) -> tuple[tuple[float, float], ...]:
        """(low, high) in Hz of each stream of codes: one a band, or every stage of one band."""
        return self.config.streams

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes in the codebook of each stream."""
        return self.config.codebook_sizes

    @property
    def hop_length(self) -> int:
        """Samples between two frames of codes."""
        return self.config.hop_length

    def meta_info(self) -> dict[str, Any]:
        """ESPnet's description: fs (Hz), num_streams, frame_shift (samples), code sizes."""
        return {
            "fs": self.fs,
            "num_streams": len(self.streams),
            "frame_shift": self.hop_length,
            "code_size_per_stream": self.codebook_sizes,
        }

    # ---- training ----------------------------------------------------------------------

    def forward(
        self, audio: torch.Tensor, forward_generator: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        """The generator step or the discriminator step of ESPnet's GAN trainer.

        Args:
            audio: (B, T) float waveforms, T >= 1.
            forward_generator: the generator step, else the discriminator's.

        Returns:
            dict with ``loss`` (scalar), ``stats``, ``weight`` (batch size) and ``optim_idx``
            (0 generator, 1 discriminator).

        Raises:
            FloatingPointError: if the loss is not finite, naming its parts.
        """
        loss, stats = self.gan_step(audio, forward_generator)
        self._stop_on_nan(loss, stats, audio)
        loss, stats, weight = force_gatherable((loss, stats, audio.shape[0]), loss.device)
        optimizer = 0 if forward_generator else 1
        return {"loss": loss, "stats": stats, "weight": weight, "optim_idx": optimizer}

    def gan_step(self, audio: torch.Tensor, forward_generator: bool) -> StepOutput:
        """One of the two steps over audio (B, T): the loss, and what is reported."""
        audio = audio.unsqueeze(1)
        if not forward_generator:
            with torch.no_grad():
                audio_hat = self.generator(audio, with_bands=False).audio
            return self.discriminator_loss(
                self.discriminator(audio_hat), self.discriminator(audio)
            )
        output = self.generator(audio, self.use_dual_decoder, self.use_band_loss)
        losses: Losses = {}
        if self.uses_discriminator:
            with torch.no_grad():
                real = self.discriminator(audio)
            losses = self.adversarial_losses(self.discriminator(output.audio), real)
        losses |= self.waveform_losses(audio, output)
        losses |= self.spectrogram_losses(audio, output)
        return self.generator_loss(losses)

    # ---- losses ------------------------------------------------------------------------

    @property
    def uses_discriminator(self) -> bool:
        """Whether the generator's loss has terms of the discriminator."""
        return bool(self.lambda_adv or self.lambda_feat_match)

    def generator_loss(self, losses: Losses) -> StepOutput:
        """The sum of the generator's terms, and they and it without gradient, to report."""
        loss: torch.Tensor = sum(losses.values())  # type: ignore[assignment]
        return loss, {name: value.detach() for name, value in (losses | {"loss": loss}).items()}

    def discriminator_loss(self, fake: FeatureMaps, real: FeatureMaps) -> StepOutput:
        """The discriminator's loss for its outputs for decoded and for original audio."""
        real_loss, fake_loss = in_float32(self.discriminator_adv_loss)(fake, real)
        loss = real_loss + fake_loss
        stats = {"discriminator_loss": loss, "real_loss": real_loss, "fake_loss": fake_loss}
        return loss, {name: value.detach() for name, value in stats.items()}

    def adversarial_losses(self, fake: FeatureMaps, real: FeatureMaps) -> Losses:
        """What the discriminator's outputs for decoded and for original audio cost."""
        adversarial = in_float32(self.generator_adv_loss)(fake)
        losses = {"adv_loss": self.lambda_adv * adversarial}
        if self.lambda_feat_match:
            match = in_float32(self.feat_match_loss)(fake, real)
            losses["feat_match_loss"] = self.lambda_feat_match * match
        return losses

    def waveform_losses(self, audio: torch.Tensor, output: GeneratorOutput) -> Losses:
        """The quantizer's loss, and distances between waveforms; audio is (B, 1, T)."""
        losses = {
            "vq_loss": self.lambda_quantization * output.quantizer_loss,
            "reconstruct_loss": self.lambda_reconstruct * _l1(output.audio, audio),
        }
        if output.bands is not None and output.bands_hat is not None:
            pairs = list(zip(output.bands_hat, output.bands, strict=True))
            band_l1 = sum(_l1(hat, band) for hat, band in pairs) / len(pairs)
            losses["subband_reconstruct_loss"] = self.lambda_reconstruct * band_l1
        return losses

    def spectrogram_losses(self, audio: torch.Tensor, output: GeneratorOutput) -> Losses:
        """Distances between spectrograms, all of one kind in one pass; audio is (B, 1, T)."""
        wholes = {"": output.audio}
        if output.audio_unquantized is not None:
            wholes["_real"] = output.audio_unquantized
        losses = {}
        if self.mel_loss is not None:
            hats, bands = output.bands_hat or [], output.bands or []
            estimates, targets = [*wholes.values(), *hats], [audio] * len(wholes) + bands
            mels = in_float32(self.mel_loss.each)(estimates, targets)
            for suffix, value in zip(wholes, mels, strict=False):
                losses[f"mel_loss{suffix}"] = self.lambda_mel * value
            if hats:
                band_mel = sum(mels[len(wholes) :]) / len(hats)
                losses["subband_mel_loss"] = self.lambda_mel * band_mel
        if self.spectral_loss is not None:
            for suffix, audio_hat in wholes.items():
                value = in_float32(self.spectral_loss)(audio_hat, audio)
                losses[f"spectral_loss{suffix}"] = self.lambda_spectral * value
        return losses

    def _stop_on_nan(
        self, loss: torch.Tensor, stats: dict[str, torch.Tensor], audio: torch.Tensor
    ) -> None:
        if math.isfinite(loss.item()):
            return
        bad = [name for name, value in stats.items() if not torch.isfinite(value).all()]
        cause = "" if torch.isfinite(audio).all() else "; the input audio holds NaN or infinity"
        raise FloatingPointError(f"training stopped: {', '.join(bad)} not finite{cause}")

    # ---- coding ------------------------------------------------------------------------

    def encode(self, x: torch.Tensor, bands: int | None = None, **kwargs: Any) -> torch.Tensor:
        """Code audio.

        Args:
            x: (B, 1, T), (B, T) or (T,) float in [-1, 1], any T >= 1.
            bands: code only the lowest ``bands`` bands, or stages of a residual quantizer.

        Returns:
            (B, N, F) int64 with F = ceil(T / hop_length).

        Raises:
            ValueError: if ``x`` is empty, not finite or not mono.
        """
        if x.dim() <= 2:
            x = x.reshape(-1, 1, x.shape[-1])
        if x.dim() != 3 or x.shape[1] != 1:
            raise ValueError(f"expected mono audio (B, 1, T), got shape {tuple(x.shape)}")
        if x.numel() == 0:
            raise ValueError("cannot encode empty audio")
        if not torch.isfinite(x).all():
            raise ValueError("cannot encode audio that holds NaN or infinity")
        self._check_stream_count(bands)
        return self.generator.encode(x, bands)

    def decode(self, codes: torch.Tensor, bands: int | None = None, **kwargs: Any) -> torch.Tensor:
        """Decode codes.

        Args:
            codes: (B, N, F) or (N, F) int64 of the lowest N bands, or first N stages.
            bands: play only the lowest ``bands`` of them.

        Returns:
            (B, 1, F * hop_length) float.

        Raises:
            ValueError: if there are no codes, too many bands, or an index outside a codebook.
        """
        if codes.dim() == 2:
            codes = codes.unsqueeze(0)
        if codes.dim() != 3 or codes.numel() == 0:
            raise ValueError(f"expected codes (B, N, F), got shape {tuple(codes.shape)}")
        self._check_stream_count(codes.shape[1])
        self._check_stream_count(bands)
        codes = codes[:, :bands]
        self.check_codes(codes)
        return self.generator.decode(codes)

    def check_codes(self, codes: torch.Tensor) -> None:
        """Raise ValueError unless (B, N, F) codes lie within the codebooks of their bands."""
        if codes.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"expected codes in int64, got {codes.dtype}")
        for band, size in enumerate(self.codebook_sizes[: codes.shape[1]]):
            if ((codes[:, band] < 0) | (codes[:, band] >= size)).any():
                raise ValueError(f"band {band}: code outside 0..{size - 1}")

    def inference(self, x: torch.Tensor, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Code and decode audio (B, 1, T), (B, T) or (T,).

        Returns:
            ``wav`` (B, 1, T), cut to the input's length, and ``codec`` (B, N, F).
        """
        codec = self.encode(x, **kwargs)
        return {"wav": self.decode(codec)[..., : x.shape[-1]], "codec": codec}

    def _check_stream_count(self, count: int | None) -> None:
        if count is not None and not 1 <= count <= len(self.streams):
            raise ValueError(f"expected 1 to {len(self.streams)} bands, got {count}")
