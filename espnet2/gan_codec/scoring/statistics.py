"""A mean, and how far it may lie from that of all utterances of the kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over ``count`` utterances with its CONFIDENCE interval."""

    mean: float
    low: float
    high: float
    count: int


def estimate(values: Sequence[float], seed: int) -> Estimate:
    """Take the mean and its percentile bootstrap interval (Efron 1979).

    The same values in the same order and the same seed give the same interval; one value alone
    gives an interval without width.

    Args:
        values: at least one.
        seed: of the RESAMPLES draws.
    """
    x = np.asarray(values, dtype=np.float64)
    draw = np.random.default_rng(seed)
    means = [x[draw.integers(0, len(x), len(x))].mean() for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(float(x.mean()), float(low), float(high), len(x))
