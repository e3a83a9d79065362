"""STOI: short-time objective intelligibility."""

import warnings
from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    is_silent,
    optional_module,
    require_sound,
)

MIN_SAMPLES = 512  # at 16 kHz: 32 ms, more than one of its windows


class STOI:
    """The original (not extended) measure by the ``pystoi`` package, given 16 kHz, in [0, 1].

    Source: Taal et al. 2011, doi:10.1109/TASL.2011.2114881.
    """

    name = "STOI"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self) -> None:
        self._library = optional_module("pystoi", "pystoi")

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,).

        Raises:
            ScoringError: a silent reference, or less than 30 frames (0.4 s) that are not silent,
                for which pystoi would answer 1e-5 as if nothing could be understood.
        """
        require_sound(reference)
        if len(reference) < MIN_SAMPLES:
            raise ScoringError("too short for STOI")
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Not enough STFT frames")
            try:
                if is_silent(decoded):
                    self._library.stoi(reference, reference, self.sampling_rate)  # long enough?
                    return 0.0
                return float(self._library.stoi(reference, decoded, self.sampling_rate))
            except RuntimeWarning as warning:
                raise ScoringError("less than 0.4 s of sound, too little for STOI") from warning
