"""The training losses: ESPnet's, which the published models use, and a spectral one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torchaudio.functional import melscale_fbanks

from espnet2.gan_codec.bscodec.model.checks import ConfigError
from espnet2.gan_codec.bscodec.model.spectrogram import power_spectrogram
from espnet2.gan_codec.shared.loss.freq_loss import MultiScaleMelSpectrogramLoss
from espnet2.gan_tts.hifigan.loss import (
    DiscriminatorAdversarialLoss,
    FeatureMatchLoss,
    GeneratorAdversarialLoss,
)

# as in the published training configs
ADVERSARIAL_DEFAULTS = {"average_by_discriminators": False, "loss_type": "mse"}
FEATURE_DEFAULTS = {
    "average_by_discriminators": False,
    "average_by_layers": False,
    "include_final_outputs": True,
}
MEL_DEFAULTS = {
    "range_start": 6,
    "range_end": 11,
    "window": "hann",
    "n_mels": 80,
    "fmin": 0,
    "fmax": None,
    "log_base": None,
}

# Power below which a bin counts as silent.  It bounds the logarithm, so that a model is not
# asked to match the rounding noise of digital silence.
POWER_FLOOR = 1e-8
# The same for waveforms: -100 dB of full scale.
WAVEFORM_FLOOR = 1e-5


class MelLoss(MultiScaleMelSpectrogramLoss):
    """ESPnet's multi-scale mel loss, of many pairs in one pass a scale."""

    def each(
        self, estimates: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """The loss of every pair, waveforms (B, 1, T) each: as many scalars.

        The targets' spectrograms carry no gradient; a target that occurs twice is analysed once.
        """
        unique = list({id(target): target for target in targets}.values())
        place = {id(target): i for i, target in enumerate(unique)}
        order = [place[id(target)] for target in targets]
        hats, originals = torch.cat(list(estimates)), torch.cat(unique).detach()
        total = 0.0
        for alpha, scale in zip(self.alphas, self.mel_loss, strict=True):
            mel_hat, _ = scale.wav_to_mel(hats.squeeze(1))
            with torch.no_grad():
                mel, _ = scale.wav_to_mel(originals.squeeze(1))
                mel = mel.view(len(unique), -1)
                # an index of all would be copied to the GPU, which a CUDA graph cannot
                mel = torch.stack([mel[i] for i in order])
            difference = mel_hat.view(len(order), -1) - mel
            total = total + difference.abs().mean(1) + alpha * difference.square().mean(1)
        return list(total / self.total)


class MultiResolutionSpectralLoss(nn.Module):
    """Distances over several STFTs, linear and mel, each relative to the recording it is of.

    For each resolution, with S the STFT magnitude, M its mel bands and w their weight,

        mean |ln S - ln S^| + r(S, S^) + w (mean |ln M - ln M^| + r(M, M^) / 2)

    where r(X, X^) = ||X - X^||_F / ||X||_F, the spectral convergence, is taken for every
    recording of the batch on its own, so that quiet ones count as much as loud ones; then the
    mean over resolutions (Yamamoto et al., ICASSP 2020; mel term as in HiFi-GAN).  The
    waveforms' own r(x, x^) is added: it makes low bands keep the phase.

    Where one partial is all there is, those terms are over bins that are nearly all silent, and
    silence is cheaper than a tone with a little noise around it: tones sink.  With ``peak_weight``

        p sum_k v_k |ln S_k - ln S^_k|,  v_k = S_k / sum_j S_j in every frame

    is added for each resolution: a log distance that counts bins by their magnitude, which a
    partial that sinks cannot escape.

    Args:
        fs: sampling rate in Hz.
        fft_sizes: STFT sizes in samples; hop is a quarter.
        mel_ratio: STFT size over number of mel bands.
        mel_weight: w.
        waveform_weight: of r(x, x^).
        peak_weight: p.
    """

    def __init__(
        self,
        fs: int = 24000,
        fft_sizes: Sequence[int] = (2048, 1024, 512, 256),
        mel_ratio: int = 16,
        mel_weight: float = 1.0,
        waveform_weight: float = 1.0,
        peak_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.fft_sizes = tuple(fft_sizes)
        self.mel_weight = mel_weight
        self.waveform_weight = waveform_weight
        self.peak_weight = peak_weight
        for size in self.fft_sizes:
            mel = melscale_fbanks(size // 2 + 1, 0.0, fs / 2, size // mel_ratio, fs)
            self.register_buffer(f"mel_{size}", mel, persistent=False)
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def _magnitude(self, audio: torch.Tensor, size: int) -> torch.Tensor:
        window = getattr(self, f"window_{size}")
        power = power_spectrogram(audio, window, size // 4)
        return power.clamp(min=POWER_FLOOR).sqrt()

    def forward(self, audio_hat: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """Distance of ``audio_hat`` (B, 1, T) from ``audio`` (B, 1, T): a scalar."""
        x_hat, x = audio_hat.squeeze(1), audio.squeeze(1)
        loss = audio.new_zeros(())
        for size in self.fft_sizes:
            s_hat, s = self._magnitude(x_hat, size), self._magnitude(x, size)
            log_difference = (s_hat.log() - s.log()).abs()
            loss = loss + log_difference.mean() + relative_distance(s_hat, s)
            if self.peak_weight:
                share = s / s.sum(-1, keepdim=True)
                loss = loss + self.peak_weight * (share * log_difference).sum(-1).mean()
            mel, floor = getattr(self, f"mel_{size}"), POWER_FLOOR**0.5
            m_hat, m = (s_hat @ mel).clamp(min=floor), (s @ mel).clamp(min=floor)
            mel_loss = F.l1_loss(m_hat.log(), m.log()) + relative_distance(m_hat, m) / 2
            loss = loss + self.mel_weight * mel_loss
        loss = loss / len(self.fft_sizes)
        if self.waveform_weight:
            loss = loss + self.waveform_weight * relative_distance(x_hat, x, WAVEFORM_FLOOR)
        return loss


def relative_distance(x_hat: torch.Tensor, x: torch.Tensor, floor: float = 0.0) -> torch.Tensor:
    """||x - x_hat|| / ||x|| of each item of a batch (B, ...), the mean over items: a scalar.

    ``floor`` is the least root mean square that a reference counts as having.
    """
    x_hat, x = x_hat.flatten(1), x.flatten(1)
    size = x.norm(dim=1).clamp(min=floor * x.shape[1] ** 0.5)
    return ((x - x_hat).norm(dim=1) / size).mean()


def build_losses(conf: Mapping[str, Any]) -> dict[str, nn.Module | None]:
    """Build the loss modules of a ``codec_conf``; one that is switched off is ``None``.

    Raises:
        ConfigError: naming the ``*_params`` key that its loss does not accept.
    """

    def construct(kind: type, key: str, defaults: Mapping[str, Any], **fixed: Any) -> nn.Module:
        try:
            return kind(**{**defaults, **conf[key], **fixed})
        except (TypeError, ValueError, AssertionError) as error:
            raise ConfigError(f"codec_conf.{key}: {error}") from error

    fs = conf["sampling_rate"]
    losses: dict[str, nn.Module | None] = {
        "generator_adv": construct(
            GeneratorAdversarialLoss, "generator_adv_loss_params", ADVERSARIAL_DEFAULTS
        ),
        "discriminator_adv": construct(
            DiscriminatorAdversarialLoss, "discriminator_adv_loss_params", ADVERSARIAL_DEFAULTS
        ),
        "feat_match": None,
        "mel": None,
        "spectral": None,
    }
    if conf["use_feat_match_loss"]:
        losses["feat_match"] = construct(
            FeatureMatchLoss, "feat_match_loss_params", FEATURE_DEFAULTS
        )
    if conf["use_mel_loss"]:
        losses["mel"] = construct(MelLoss, "mel_loss_params", MEL_DEFAULTS, fs=fs)
    if conf["use_spectral_loss"]:
        losses["spectral"] = construct(
            MultiResolutionSpectralLoss, "spectral_loss_params", {}, fs=fs
        )
    return losses
