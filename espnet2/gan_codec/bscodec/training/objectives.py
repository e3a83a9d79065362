"""The terms of the generator's loss by their names, weighted as the model's ``lambda_*`` say.

Their sum is the loss, and their names are those of ESPnet's statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.generator import GeneratorOutput
from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.training.shared_discriminator import Judged

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.bscodec import BSCodec

Losses = dict[str, torch.Tensor]

_l1 = in_float32(F.l1_loss)


def adversarial_losses(model: BSCodec, judged: Judged) -> Losses:
    """What the discriminator makes of the generator's output."""
    adversarial = in_float32(model.generator_adv_loss)(judged.fake)
    losses = {"adv_loss": model.lambda_adv * adversarial}
    if model.lambda_feat_match:
        match = in_float32(model.feat_match_loss)(judged.fake, judged.real)
        losses["feat_match_loss"] = model.lambda_feat_match * match
    return losses


def waveform_losses(model: BSCodec, audio: torch.Tensor, output: GeneratorOutput) -> Losses:
    """The quantizer's loss, and distances between waveforms; audio is (B, 1, T)."""
    losses = {
        "vq_loss": model.lambda_quantization * output.quantizer_loss,
        "reconstruct_loss": model.lambda_reconstruct * _l1(output.audio, audio),
    }
    if output.bands is not None:
        pairs = list(zip(output.bands_hat, output.bands, strict=True))
        band_l1 = sum(_l1(hat, band) for hat, band in pairs) / len(pairs)
        losses["subband_reconstruct_loss"] = model.lambda_reconstruct * band_l1
    return losses


def spectrogram_losses(model: BSCodec, audio: torch.Tensor, output: GeneratorOutput) -> Losses:
    """Distances between spectrograms, all of one kind in one pass; audio is (B, 1, T)."""
    wholes = {"": output.audio}
    if output.audio_unquantized is not None:
        wholes["_real"] = output.audio_unquantized
    losses = {}
    if model.mel_loss is not None:
        hats, bands = output.bands_hat or [], output.bands or []
        estimates, targets = [*wholes.values(), *hats], [audio] * len(wholes) + bands
        mels = in_float32(model.mel_loss.each)(estimates, targets)
        for suffix, value in zip(wholes, mels, strict=False):
            losses[f"mel_loss{suffix}"] = model.lambda_mel * value
        if hats:
            band_mel = sum(mels[len(wholes) :]) / len(hats)
            losses["subband_mel_loss"] = model.lambda_mel * band_mel
    if model.spectral_loss is not None:
        for suffix, audio_hat in wholes.items():
            value = in_float32(model.spectral_loss)(audio_hat, audio)
            losses[f"spectral_loss{suffix}"] = model.lambda_spectral * value
    return losses
