"""PESQ: perceptual evaluation of speech quality, wide band."""

from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    is_silent,
    optional_module,
    require_sound,
)

WORST = 0.999 + 4 / (1 + np.exp(1.3669 * 0.5 + 3.8224))  # P.862.2's mapping of P.862's -0.5


class PESQ:
    """MOS-LQO of ITU-T P.862.2, by the ``pesq`` package in its ``wb`` mode, at 16 kHz.

    From 1.04 to 4.64; decoded silence, for which the package has no value, gets the lowest.
    """

    name = "PESQ"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self) -> None:
        self._library = optional_module("pesq", "pesq")

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,).

        Raises:
            ScoringError: a silent reference, less than 0.25 s, or no utterance found in it.
        """
        require_sound(reference)
        silent = is_silent(decoded)
        try:
            heard = reference if silent else decoded  # has the reference a value at all?
            value = self._library.pesq(self.sampling_rate, reference, heard, "wb")
            return float(WORST if silent else value)
        except self._library.PesqError as error:
            text = error.args[0] if error.args else error
            raise ScoringError(text.decode() if isinstance(text, bytes) else str(text)) from error
