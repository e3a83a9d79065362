"""BSCodec as an ESPnet ``gan_codec`` model: two turns, their losses and their statistics.

Source: "BSCodec: A Band-Split Neural Codec for High-Quality Universal Audio Reconstruction",
arXiv 2511.06150.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch.nn import functional as F

from espnet2.gan_codec.abs_gan_codec import AbsGANCodec
from espnet2.gan_codec.bscodec.config import ConfigError, GeneratorConfig, check_codec_conf
from espnet2.gan_codec.bscodec.discriminators import build_discriminator
from espnet2.gan_codec.bscodec.generator import BSCodecGenerator, GeneratorOutput
from espnet2.gan_codec.bscodec.losses import (
    ADVERSARIAL_DEFAULTS,
    FEATURE_DEFAULTS,
    MEL_DEFAULTS,
    build_losses,
)
from espnet2.gan_codec.bscodec.monitor import CodebookMonitor
from espnet2.gan_codec.bscodec.state_dict import adapt_state_dict, refuse_partial_load
from espnet2.torch_utils.device_funcs import force_gatherable


class BSCodec(AbsGANCodec):
    """Band-split neural audio codec.

    The keyword arguments are ``codec_conf`` of the published training configs.

    Args:
        sampling_rate: in Hz.
        generator_params: see :class:`~espnet2.gan_codec.bscodec.config.GeneratorConfig`.
        discriminator_params: see :mod:`espnet2.gan_codec.bscodec.discriminators`.
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
        cache_generator_outputs: let the two turns of a step share one generator pass.

    Raises:
        ConfigError: on an unknown key or an impossible value, in one line.
    """

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
        **unknown: Any,
    ) -> None:
        conf = {k: v for k, v in locals().items() if k not in ("self", "unknown", "__class__")}
        if unknown:
            known = ", ".join(sorted(conf))
            names = ", ".join(map(repr, sorted(unknown)))
            raise ConfigError(f"codec_conf: unknown key {names}; known keys are {known}")
        check_codec_conf(conf)
        super().__init__()
        self.config = GeneratorConfig.from_dict(generator_params, sampling_rate)
        self.generator = BSCodecGenerator(self.config, sampling_rate)
        self.discriminator = build_discriminator(copy.deepcopy(dict(discriminator_params)))
        self.monitor = CodebookMonitor(self.config.codebook_sizes)

        modules = build_losses(conf)
        self.generator_adv_loss = modules["generator_adv"]
        self.discriminator_adv_loss = modules["discriminator_adv"]
        self.feat_match_loss = modules["feat_match"]
        self.mel_loss = modules["mel"]
        self.spectral_loss = modules["spectral"]
        self.use_band_loss = use_band_loss
        self.use_dual_decoder = use_dual_decoder
        self.lambda_quantization = lambda_quantization
        self.lambda_reconstruct = lambda_reconstruct
        self.lambda_adv = lambda_adv
        self.lambda_feat_match = lambda_feat_match if use_feat_match_loss else 0.0
        self.lambda_mel = lambda_mel
        self.lambda_spectral = lambda_spectral
        self.cache_generator_outputs = cache_generator_outputs
        # (audio, its version, output, does it hold a graph); the trainer resets it by this name
        self._cache: tuple[torch.Tensor, int, GeneratorOutput, bool] | None = None
        self.fs = sampling_rate
        self.register_load_state_dict_pre_hook(adapt_state_dict)
        self.register_load_state_dict_post_hook(refuse_partial_load)

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
        """Number of bands, which is the number of code streams."""
        return len(self.config.bands)

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes in each band's codebook."""
        return self.config.codebook_sizes

    @property
    def hop_length(self) -> int:
        """Samples between two frames of codes."""
        return self.config.hop_length

    def meta_info(self) -> dict[str, Any]:
        """ESPnet's description: fs (Hz), num_streams, frame_shift (samples), code sizes."""
        return {
            "fs": self.fs,
            "num_streams": self.num_bands,
            "frame_shift": self.hop_length,
            "code_size_per_stream": self.codebook_sizes,
        }

    # ---- training ----------------------------------------------------------------------

    def forward(
        self, audio: torch.Tensor, forward_generator: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        """One turn of ESPnet's GAN trainer.

        Args:
            audio: (B, T) float waveforms, T >= 1.
            forward_generator: the generator's turn, else the discriminator's.

        Returns:
            dict with ``loss`` (scalar), ``stats``, ``weight`` (batch size) and ``optim_idx``
            (0 generator, 1 discriminator).

        Raises:
            FloatingPointError: if the loss is not finite, naming its parts.
        """
        audio = audio.unsqueeze(1)
        output = self._generator_output(audio, forward_generator)
        if forward_generator:
            loss, stats = self._generator_loss(audio, output)
        else:
            loss, stats = self._discriminator_loss(audio, output)
        self._stop_on_nan(loss, stats, audio)
        loss, stats, weight = force_gatherable((loss, stats, audio.shape[0]), loss.device)
        optimizer = 0 if forward_generator else 1
        return {"loss": loss, "stats": stats, "weight": weight, "optim_idx": optimizer}

    def _generator_output(self, audio: torch.Tensor, with_graph: bool) -> GeneratorOutput:
        """The generator's pass for this turn, shared by the two turns of a step if cached.

        In either order of turns the second one finds the first one's output.  A pass whose
        graph the generator's turn has already gone through backward is only good for the
        discriminator, which detaches it.
        """
        if self._cache is not None:
            cached, version, output, graph = self._cache
            self._cache = None
            same = cached.data_ptr() == audio.data_ptr() and cached.shape == audio.shape
            if same and version == audio._version and (graph or not with_graph):
                return output
        share = self.cache_generator_outputs and self.training
        with torch.set_grad_enabled(torch.is_grad_enabled() and (with_graph or share)):
            output = self.generator(
                audio,
                use_dual_decoder=self.use_dual_decoder and (with_graph or share),
                with_bands=self.use_band_loss and (with_graph or share),
            )
        if self.training:
            self.monitor.update(output.codes)
        if share:
            self._cache = (audio, audio._version, output, not with_graph)
        return output

    def _spectrogram_losses(
        self, audio_hat: torch.Tensor, audio: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        losses = {}
        if self.mel_loss is not None:
            losses["mel_loss"] = self.lambda_mel * self.mel_loss(audio_hat, audio)
        if self.spectral_loss is not None:
            losses["spectral_loss"] = self.lambda_spectral * self.spectral_loss(audio_hat, audio)
        return losses

    def _generator_loss(
        self, audio: torch.Tensor, output: GeneratorOutput
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        losses: dict[str, torch.Tensor] = {}
        if self.lambda_adv or self.lambda_feat_match:
            losses.update(self._adversarial_losses(audio, output.audio))
        losses["vq_loss"] = self.lambda_quantization * output.quantizer_loss
        losses["reconstruct_loss"] = self.lambda_reconstruct * F.l1_loss(output.audio, audio)
        if output.bands is not None:
            pairs = list(zip(output.bands_hat, output.bands, strict=True))
            l1 = sum(F.l1_loss(hat, band) for hat, band in pairs) / len(pairs)
            losses["subband_reconstruct_loss"] = self.lambda_reconstruct * l1
            if self.mel_loss is not None:
                mel = sum(self.mel_loss(hat, band) for hat, band in pairs) / len(pairs)
                losses["subband_mel_loss"] = self.lambda_mel * mel
        losses.update(self._spectrogram_losses(output.audio, audio))
        if output.audio_unquantized is not None:
            for name, value in self._spectrogram_losses(output.audio_unquantized, audio).items():
                losses[f"{name}_real"] = value
        loss = sum(losses.values())
        stats = {name: value.detach() for name, value in losses.items()}
        stats["loss"] = loss.detach()
        if self.training:
            stats.update(self.monitor.stats())
        return loss, stats

    def _adversarial_losses(
        self, audio: torch.Tensor, audio_hat: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        judged_hat = self.discriminator(audio_hat)
        losses = {"adv_loss": self.lambda_adv * self.generator_adv_loss(judged_hat)}
        if self.lambda_feat_match:
            with torch.no_grad():
                judged = self.discriminator(audio)
            match = self.feat_match_loss(judged_hat, judged)
            losses["feat_match_loss"] = self.lambda_feat_match * match
        return losses

    def _discriminator_loss(
        self, audio: torch.Tensor, output: GeneratorOutput
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        judged_hat = self.discriminator(output.audio.detach())
        judged = self.discriminator(audio)
        real, fake = self.discriminator_adv_loss(judged_hat, judged)
        loss = real + fake
        stats = {"discriminator_loss": loss, "real_loss": real, "fake_loss": fake}
        return loss, {name: value.detach() for name, value in stats.items()}

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
            bands: code only the lowest ``bands`` bands.

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
        self._check_band_count(bands)
        return self.generator.encode(x, bands)

    def decode(self, codes: torch.Tensor, bands: int | None = None, **kwargs: Any) -> torch.Tensor:
        """Decode codes.

        Args:
            codes: (B, N, F) or (N, F) int64 of the lowest N bands.
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
        self._check_band_count(codes.shape[1])
        self._check_band_count(bands)
        codes = codes[:, :bands]
        for band, size in enumerate(self.codebook_sizes[: codes.shape[1]]):
            low, high = codes[:, band].aminmax()
            if low < 0 or high >= size:
                raise ValueError(f"band {band}: code outside 0..{size - 1}")
        return self.generator.decode(codes)

    def inference(self, x: torch.Tensor, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Code and decode audio (B, 1, T), (B, T) or (T,).

        Returns:
            ``wav`` (B, 1, T), cut to the input's length, and ``codec`` (B, N, F).
        """
        codec = self.encode(x, **kwargs)
        return {"wav": self.decode(codec)[..., : x.shape[-1]], "codec": codec}

    def _check_band_count(self, bands: int | None) -> None:
        if bands is not None and not 1 <= bands <= self.num_bands:
            raise ValueError(f"expected 1 to {self.num_bands} bands, got {bands}")
