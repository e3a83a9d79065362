"""Small code predictors with random weights."""

from __future__ import annotations

import functools

import numpy as np

from espnet2.gan_codec.bscodec.entropy.integer_network import MAX_INT8
from espnet2.gan_codec.bscodec.entropy.predictor import PAST, Predictor
from espnet2.gan_codec.bscodec.entropy.range_coder import RangeCoder


@functools.lru_cache(maxsize=1)
def coder() -> RangeCoder:
    """Return an entropy coder for bands of 16 and 1000 codes, or 16 alone."""
    return RangeCoder(Predictor(predictor_tensors(), "0" * 64))


def predictor_tensors(
    sizes: tuple[int, ...] = (16, 1000), dim: int = 4, width: int = 16, depth: int = 8
) -> dict[str, np.ndarray]:
    """Return random tensors of a predictor; of ``sizes`` codes in the bands; 0 is likely."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}
    lower = 0

    def small(*shape: int) -> np.ndarray:
        return rng.integers(-MAX_INT8, MAX_INT8 + 1, shape).astype(np.int8)

    for band, size in enumerate(sizes):
        bits = (size - 1).bit_length()
        groups, places = 1 << (bits - bits // 2), 1 << bits // 2
        shapes = {
            "input": (width, PAST * (lower + dim) + lower),
            "hidden": (width, width),
            "query": (2 * depth, width),
            "groups": (groups, depth),
            "codes": (groups, places, depth),
        }
        slots = ((np.arange(size) << bits) // size).astype(np.int32)
        tensors |= {f"{band}.vectors": small(size, dim), f"{band}.slots": slots}
        for name, shape in shapes.items():
            tensors[f"{band}.{name}.weight"] = small(*shape)
            bias = rng.integers(-3000, 3000, shape[:-1]).astype(np.int32)
            if name in ("groups", "codes"):
                bias[..., 0] += 300000
            tensors[f"{band}.{name}.bias"] = bias
        tensors[f"{band}.offsets"] = rng.integers(-99, 99, (groups, depth)).astype(np.int32)
        lower += dim
    return tensors
