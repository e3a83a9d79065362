"""What a metric is."""

from importlib import import_module
from textwrap import shorten
from types import ModuleType
from typing import Literal, Protocol

import numpy as np

SILENCE = 2.0**-16  # half a step of 16-bit audio: a signal that stays below it holds nothing


class ScoringError(ValueError):
    """A pair of utterances or a metric that cannot be used: one line that says why."""


class UnavailableError(ScoringError):
    """A metric whose package or weights are not to be had here."""


class Metric(Protocol):
    """A number that says how near decoded audio is to its reference.

    Building one loads what it needs, once. Calling it keeps no state, so that the order of pairs
    never matters.

    Attributes:
        name: short, for the head of a column.
        better: which way is better.
        sampling_rate: in Hz, of the audio that it takes. Whoever calls resamples.

    Raises:
        UnavailableError: the package or the weights it is built on are missing.
    """

    name: str
    sampling_rate: int

    @property
    def better(self) -> Literal["lower", "higher"]:
        """Which way is better."""

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,) float32 in [-1, 1], T >= 1.

        Raises:
            ScoringError: the metric has no value for this pair, e.g. for a silent reference.
        """
        ...


def is_silent(audio: np.ndarray) -> bool:
    """Whether (T,) holds nothing that 16-bit audio could."""
    return float(np.abs(audio).max(initial=0)) < SILENCE


def require_sound(reference: np.ndarray) -> None:
    """Raise ScoringError for a silent reference: nothing can be like or unlike it."""
    if is_silent(reference):
        raise ScoringError("the reference is silent")


def optional_module(module: str, package: str, extra: str = "score") -> ModuleType:
    """Import ``module`` of the optional ``package``.

    Raises:
        UnavailableError: it is not installed; the line names the extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UnavailableError(
            f"needs the package {package}: pip install 'espnet-bscodec[{extra}]'"
        ) from error


def one_line(error: Exception) -> str:
    """Return what an error of a foreign library says, in a short line."""
    return shorten(str(error), 120, placeholder=" ...") or type(error).__name__
