"""Analysis and synthesis filterbanks: audio to bands, bands to audio."""

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.filterbank.mdct import MDCTFilterbank
from espnet2.gan_codec.bscodec.model.filterbank.stft import STFTFilterbank

Filterbank = STFTFilterbank | MDCTFilterbank


def build_filterbank(config: GeneratorConfig, sampling_rate: int) -> Filterbank:
    """Return the filterbank that ``config.filterbank`` names."""
    if config.filterbank == "mdct":
        return MDCTFilterbank(
            config.bands, sampling_rate, config.mdct_hop, frame_hops=config.spectral_stride
        )
    return STFTFilterbank(config.bands, sampling_rate, drop_nyquist=config.drop_nyquist)


__all__ = ["Filterbank", "MDCTFilterbank", "STFTFilterbank", "build_filterbank"]
