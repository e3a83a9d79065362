"""BSCodec as an ESPnet ``gan_codec`` model: two turns, their losses and their statistics.

Source: "BSCodec: A Band-Split Neural Codec for High-Quality Universal Audio Reconstruction",
arXiv 2511.06150.
"""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any

import torch

from espnet2.gan_codec.abs_gan_codec import AbsGANCodec
from espnet2.gan_codec.bscodec.model.config import ConfigError, GeneratorConfig, check_codec_conf
from espnet2.gan_codec.bscodec.model.discriminators import build_discriminator
from espnet2.gan_codec.bscodec.model.distributed import is_distributed
from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator, GeneratorOutput
from espnet2.gan_codec.bscodec.model.losses import (
    ADVERSARIAL_DEFAULTS,
    FEATURE_DEFAULTS,
    MEL_DEFAULTS,
    build_losses,
)
from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.state_dict import adapt_state_dict, refuse_partial_load
from espnet2.gan_codec.bscodec.training.augmentation import Augment
from espnet2.gan_codec.bscodec.training.codebook_statistics import CodebookMonitor
from espnet2.gan_codec.bscodec.training.cuda_graph import GraphedTurn, check_graph
from espnet2.gan_codec.bscodec.training.objectives import (
    adversarial_losses,
    spectrogram_losses,
    waveform_losses,
)
from espnet2.gan_codec.bscodec.training.shared_discriminator import judge, pass_gradients
from espnet2.gan_codec.bscodec.training.step_cache import FirstTurn
from espnet2.torch_utils.device_funcs import force_gatherable

Turn = tuple[torch.Tensor, dict[str, torch.Tensor]]  # the loss, and what ESPnet is to report


class BSCodec(AbsGANCodec):
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
        cache_generator_outputs: let the two turns of a step share one generator pass, and if
            the generator's comes first, as it should, the discriminator's passes too.
        use_bf16: run the networks under autocast to bfloat16; losses differ a little then.
        use_cuda_graph: on a GPU, replay the generator's turn as one CUDA graph: about twice as
            fast for small networks.  Without discriminator, and with SimVQ without refits; of no
            effect on a CPU and where several processes train together.
        augment_params: change the training audio on the device: see
            :class:`~espnet2.gan_codec.bscodec.training.augmentation.AugmentConfig`.

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
        use_bf16: bool = False,
        use_cuda_graph: bool = False,
        augment_params: dict[str, Any] = {},  # noqa: B006
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
        self.use_bf16 = use_bf16
        self.augment = Augment(augment_params, sampling_rate) if augment_params else None
        self.use_cuda_graph = use_cuda_graph
        if use_cuda_graph:
            check_graph(self)
        self._graphed: GraphedTurn | None = None
        self._cache: FirstTurn | None = None  # the trainer resets it by this name
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
        if forward_generator and self._replays(audio):
            loss, stats = self._replayed_turn(audio)
        else:
            if self.training and self.augment is not None:
                audio = self.augment.of_batch(audio)
            turn = self._generator_turn if forward_generator else self._discriminator_turn
            with self._precision(audio.device):
                loss, stats = turn(audio.unsqueeze(1))
        self._stop_on_nan(loss, stats, audio)
        loss, stats, weight = force_gatherable((loss, stats, audio.shape[0]), loss.device)
        optimizer = 0 if forward_generator else 1
        return {"loss": loss, "stats": stats, "weight": weight, "optim_idx": optimizer}

    def _precision(self, device: torch.device) -> contextlib.AbstractContextManager:
        # an autocast that is off would end the trainer's own
        if not self.use_bf16:
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _generator_turn(self, audio: torch.Tensor) -> Turn:
        """The losses of the generator; the discriminator's parameters get no gradient."""
        losses = self._generator_losses(audio)
        return self._reported(sum(losses.values()), losses)

    def _reported(self, loss: torch.Tensor, losses: dict[str, torch.Tensor]) -> Turn:
        stats = {name: value.detach() for name, value in losses.items()}
        stats["loss"] = loss.detach()
        if self.training:
            stats.update(self.monitor.stats())
        return loss, stats

    def _replays(self, audio: torch.Tensor) -> bool:
        """Whether the generator's turn of audio (B, T) is the one that a CUDA graph has."""
        if not (self.use_cuda_graph and self.training and audio.is_cuda) or is_distributed():
            return False
        if self._graphed is None:
            self._graphed = GraphedTurn(self, audio)
        return audio.shape == self._graphed.shape  # an epoch's last batch may be smaller

    def _replayed_turn(self, audio: torch.Tensor) -> Turn:
        loss, losses, codes = self._graphed(audio)
        self.monitor.update(codes)
        return self._reported(loss, losses)

    def _generator_losses(self, audio: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self._take_first_turn(audio)
        if first is not None and first.has_graph:
            output = first.output
        else:
            output = self._generate(audio, for_losses=True)
            if self._shares_turns():
                self._cache = FirstTurn.of_generator(audio, output)
        losses = self._adversarial_losses(audio, output.audio)
        losses |= waveform_losses(self, audio, output)
        return losses | spectrogram_losses(self, audio, output)

    def _discriminator_turn(self, audio: torch.Tensor) -> Turn:
        """The losses of the discriminator."""
        first = self._take_first_turn(audio)
        if first is not None and first.judged and first.judged.is_current(self.discriminator):
            judged_hat, judged = first.judged.fake, first.judged.real
        else:
            if first is None:
                share = self._shares_turns()
                with torch.set_grad_enabled(share and torch.is_grad_enabled()):
                    output = self._generate(audio, for_losses=share)
                if share:
                    self._cache = FirstTurn.of_discriminator(audio, output)
            else:
                output = first.output
            judged_hat = self.discriminator(output.audio.detach())
            judged = self.discriminator(audio)
        real, fake = in_float32(self.discriminator_adv_loss)(judged_hat, judged)
        loss = real + fake
        stats = {"discriminator_loss": loss, "real_loss": real, "fake_loss": fake}
        return loss, {name: value.detach() for name, value in stats.items()}

    def _shares_turns(self) -> bool:
        return self.cache_generator_outputs and self.training

    def _take_first_turn(self, audio: torch.Tensor) -> FirstTurn | None:
        """What the turn before left, if it was of this batch; it is used once."""
        first, self._cache = self._cache, None
        return first if first is not None and first.is_of(audio) else None

    def _generate(self, audio: torch.Tensor, for_losses: bool) -> GeneratorOutput:
        """Run the generator: all that its losses need, or the audio alone."""
        output = self.generator(
            audio,
            use_dual_decoder=self.use_dual_decoder and for_losses,
            with_bands=self.use_band_loss and for_losses,
        )
        if self.training:
            self.monitor.update(output.codes)
        return output

    def _adversarial_losses(
        self, audio: torch.Tensor, audio_hat: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        if not (self.lambda_adv or self.lambda_feat_match):
            return {}
        share = self._cache is not None and torch.is_grad_enabled() and not is_distributed()
        judged = judge(self.discriminator, audio_hat, audio, share)
        if share:
            self._cache.judged = judged
        return pass_gradients(audio_hat, judged, adversarial_losses(self, judged))

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
