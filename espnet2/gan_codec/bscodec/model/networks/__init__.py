"""Per-band encoders and decoders: a band's signal to latents and back."""

from torch import nn

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.networks.seanet import seanet_decoder, seanet_encoder
from espnet2.gan_codec.bscodec.model.networks.spectral import (
    SpectralDecoder,
    SpectralEncoder,
    init_as_inverses,
)


def build_networks(config: GeneratorConfig, channels: int) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of one band.

    They lead a signal (B, channels, L) to latents (B, hidden_dim, F) and back.
    """
    if config.network == "spectral":
        encoder, decoder = SpectralEncoder(config, channels), SpectralDecoder(config, channels)
        init_as_inverses(encoder, decoder)
        return encoder, decoder
    return seanet_encoder(config), seanet_decoder(config)


__all__ = ["build_networks", "SpectralEncoder", "SpectralDecoder"]
