"""Per-band encoders and decoders: a band's signal to latents and back."""

from espnet2.gan_codec.bscodec.config import GeneratorConfig
from espnet2.gan_codec.bscodec.networks.seanet import seanet_decoder, seanet_encoder
from espnet2.gan_codec.bscodec.networks.spectral import SpectralDecoder, SpectralEncoder


def build_encoder(config: GeneratorConfig, channels: int):
    """Encoder of one band: (B, channels, L) to latents (B, hidden_dim, F)."""
    if config.network == "spectral":
        return SpectralEncoder(config, channels)
    return seanet_encoder(config)


def build_decoder(config: GeneratorConfig, channels: int):
    """Decoder of one band: latents (B, hidden_dim, F) to (B, channels, L)."""
    if config.network == "spectral":
        return SpectralDecoder(config, channels)
    return seanet_decoder(config)


__all__ = ["build_encoder", "build_decoder", "SpectralEncoder", "SpectralDecoder"]
