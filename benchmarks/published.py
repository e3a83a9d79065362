"""The published training step, computed plainly: nothing shared, nothing batched, no engine.

It runs on the modules of a :class:`~espnet2.gan_codec.bscodec.BSCodec` and so on its weights.
Tests hold the model's own step against it, and the benchmark times the two.

Source: BSCodec (arXiv 2511.06150), and SimVQ (arXiv 2411.02038) with the whole codebook C W^T
and the whole distance matrix, by the call that the published code makes for it.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.model.generator import GeneratorOutput
from espnet2.gan_codec.bscodec.model.quantizers.simvq import COMMITMENT, SimVQ


def simvq(layer: SimVQ, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantize latents (B, D, F): quantized (B, D, F), codes (B, F) and loss."""
    codebook = layer.code_transform(layer.frozen_codebook)
    with torch.no_grad():  # of a batch, this call copies the codebook for each of its items
        indices = torch.cdist(x.transpose(1, 2), codebook).argmin(dim=2)
    quantized = F.embedding(indices, codebook).transpose(1, 2)
    loss = F.mse_loss(x.detach(), quantized) + COMMITMENT * F.mse_loss(x, quantized.detach())
    return x + (quantized - x).detach(), indices, loss


def generate(model: BSCodec, audio: torch.Tensor) -> GeneratorOutput:
    """One pass of the generator over ``audio`` (B, 1, T)."""
    generator = model.generator
    bands = generator.filterbank.analysis(audio)
    latents = [encoder(x) for encoder, x in zip(generator.encoders, bands, strict=True)]
    if isinstance(generator.quantizer.layers[0], SimVQ):
        outputs = [
            simvq(layer, x) for layer, x in zip(generator.quantizer.layers, latents, strict=True)
        ]
        quantized, codes, losses = zip(*outputs, strict=True)
        loss = torch.stack(losses).mean()
    else:
        quantized, codes, loss = generator.quantizer(latents)
    length = audio.shape[-1]
    decoded = [d(z) for d, z in zip(generator.decoders, quantized, strict=True)]
    unquantized = [d(z) for d, z in zip(generator.decoders, latents, strict=True)]
    return GeneratorOutput(
        audio=generator.filterbank.synthesis(decoded)[..., :length],
        bands=bands,
        bands_hat=[band[..., :length] for band in decoded],
        quantizer_loss=loss,
        codes=list(codes),
        audio_unquantized=generator.filterbank.synthesis(unquantized)[..., :length],
    )


def generator_losses(
    model: BSCodec, audio: torch.Tensor, output: GeneratorOutput
) -> dict[str, torch.Tensor]:
    """The weighted losses of the generator step by their names; the step's loss is their sum."""
    judged_hat = model.discriminator(output.audio)
    with torch.no_grad():
        judged = model.discriminator(audio)
    pairs = list(zip(output.bands_hat, output.bands, strict=True))
    band_l1 = sum(F.l1_loss(hat, band) for hat, band in pairs) / len(pairs)
    band_mel = sum(model.mel_loss(hat, band) for hat, band in pairs) / len(pairs)
    return {
        "adv_loss": model.lambda_adv * model.generator_adv_loss(judged_hat),
        "feat_match_loss": model.lambda_feat_match * model.feat_match_loss(judged_hat, judged),
        "vq_loss": model.lambda_quantization * output.quantizer_loss,
        "reconstruct_loss": model.lambda_reconstruct * F.l1_loss(output.audio, audio),
        "subband_reconstruct_loss": model.lambda_reconstruct * band_l1,
        "mel_loss": model.lambda_mel * model.mel_loss(output.audio, audio),
        "subband_mel_loss": model.lambda_mel * band_mel,
        "mel_loss_real": model.lambda_mel * model.mel_loss(output.audio_unquantized, audio),
    }


def discriminator_losses(
    model: BSCodec, audio: torch.Tensor, audio_hat: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The losses of the discriminator step by their names; the step's loss is their sum."""
    judged_hat = model.discriminator(audio_hat.detach())
    judged = model.discriminator(audio)
    real, fake = model.discriminator_adv_loss(judged_hat, judged)
    return {"real_loss": real, "fake_loss": fake}


def step(model: BSCodec, audio: torch.Tensor, cached: bool = True) -> None:
    """Both steps over ``audio`` (B, T), forward and backward, gradients left in the parameters.

    Args:
        model: in training mode.
        audio: waveforms.
        cached: the discriminator step reuses the generator step's output, as the published
            configs have it.
    """
    audio = audio.unsqueeze(1)
    output = generate(model, audio)
    sum(generator_losses(model, audio, output).values()).backward()
    model.discriminator.zero_grad()
    if not cached:
        with torch.no_grad():
            output = generate(model, audio)
    sum(discriminator_losses(model, audio, output.audio).values()).backward()
