"""Codes under a header of any kind."""

import numpy as np

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.header import BscHeader


def make_encoded(num_samples=24000, edges=(0, 2000, 12000), sizes=(1024, 1024), seed=0, **values):
    header = BscHeader(
        num_samples=num_samples,
        sampling_rate=values.pop("sampling_rate", 24000),
        hop_length=values.pop("hop_length", 320),
        bands=tuple(zip(edges, edges[1:], strict=False)),
        codebook_sizes=tuple(sizes),
        model=values.pop("model", "bscodec-mini"),
        fingerprint="0badc0de",
        num_channels=values.pop("num_channels", 1),
        original_rate=values.pop("original_rate", 0),
        original_samples=values.pop("original_samples", 0),
    )
    rng = np.random.default_rng(seed)
    channels = header.codes_shape[:-1]
    codes = [rng.integers(0, size, (*channels, header.num_frames)) for size in sizes]
    codes = values.pop("codes", np.stack(codes, axis=-2))
    assert not values
    return EncodedAudio(**vars(header), codes=codes)


SMALL = make_encoded(1000, sizes=(1000, 131072), model="x")  # unlike the document's: odd padding
