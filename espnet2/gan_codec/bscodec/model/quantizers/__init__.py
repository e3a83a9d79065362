"""Vector quantizers, one a band or several in a row: latents to indices and back."""

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.quantizers.rvq import ResidualVQ
from espnet2.gan_codec.bscodec.model.quantizers.simvq import BandSimVQ
from espnet2.gan_codec.bscodec.model.quantizers.vq import BandVQ

Quantizer = BandSimVQ | BandVQ | ResidualVQ


def build_quantizer(config: GeneratorConfig) -> Quantizer:
    """Return the quantizer that ``config.quantize_choice`` names."""
    arguments = (config.codebook_sizes, config.quantize_codebook_dim, config.hidden_dim)
    if config.quantize_choice == "band_simvq":
        return BandSimVQ(
            *arguments,
            refit_interval=config.quantize_refit_interval,
            reseed_interval=config.quantize_reseed_interval,
            follow_rate=config.quantize_follow_rate,
        )
    kind = ResidualVQ if config.quantize_choice == "rvq" else BandVQ
    return kind(*arguments, config.quantize_dead_code_threshold)


__all__ = ["BandSimVQ", "BandVQ", "Quantizer", "ResidualVQ", "build_quantizer"]
