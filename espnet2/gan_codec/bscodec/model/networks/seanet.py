"""The published per-band networks: ESPnet's SEANet with Snake, the structure of DAC."""

from __future__ import annotations

from typing import Any

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import SEANetEncoder


def _shared_arguments(config: GeneratorConfig) -> dict[str, Any]:
    return dict(
        channels=config.encdec_channels,
        dimension=config.hidden_dim,
        n_filters=config.encdec_n_filters,
        n_residual_layers=config.encdec_n_residual_layers,
        ratios=list(config.encdec_ratios),
        activation=config.encdec_activation,
        activation_params=dict(config.encdec_activation_params),
        norm=config.encdec_norm,
        norm_params=dict(config.encdec_norm_params),
        kernel_size=config.encdec_kernel_size,
        residual_kernel_size=config.encdec_residual_kernel_size,
        last_kernel_size=config.encdec_last_kernel_size,
        dilation_base=config.encdec_dilation_base,
        causal=config.encdec_causal,
        pad_mode=config.encdec_pad_mode,
        true_skip=config.encdec_true_skip,
        compress=config.encdec_compress,
        lstm=config.encdec_lstm,
    )


def seanet_encoder(config: GeneratorConfig) -> SEANetEncoder:
    """SEANet encoder: waveform (B, 1, T) to latents (B, hidden_dim, ceil(T / hop))."""
    return SEANetEncoder(**_shared_arguments(config))


def seanet_decoder(config: GeneratorConfig) -> SEANetDecoder:
    """SEANet decoder: latents (B, hidden_dim, F) to a waveform (B, 1, F * hop)."""
    return SEANetDecoder(
        **_shared_arguments(config),
        trim_right_ratio=config.decoder_trim_right_ratio,
        final_activation=config.decoder_final_activation,
        final_activation_params=config.decoder_final_activation_params,
    )
