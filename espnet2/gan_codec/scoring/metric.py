"""What a metric is."""

from typing import Literal, Protocol

import numpy as np


class ScoringError(ValueError):
    """A pair of recordings or a metric that cannot be used: one line that says why."""


class Metric(Protocol):
    """A number that says how near decoded audio is to its reference.

    Building one loads what it needs, once. Calling it keeps no state, so that the order of pairs
    never matters.

    Attributes:
        name: short, for the head of a column.
        better: which way is better.
        sampling_rate: in Hz, of the audio that it takes. Whoever calls resamples.

    Raises:
        ScoringError: the package it is built on is not installed.
    """

    name: str
    better: Literal["lower", "higher"]
    sampling_rate: int

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,) float32 in [-1, 1], T >= 1."""
        ...
