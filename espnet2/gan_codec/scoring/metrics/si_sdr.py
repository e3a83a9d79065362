"""SI-SDR: the scale-invariant signal-to-distortion ratio."""

from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import require_sound


class SISDR:
    """``10 log10 (||s||^2 / ||s - y||^2)`` in dB, s being the part of y that is like x.

    With x the reference, y the decoded audio, and ``s = <x, y> / ||x||^2 x``. Means are not taken
    off. Kept within +-LIMIT, which equal and silent audio would otherwise leave for infinity.

    Source: Le Roux et al. 2019 (arXiv 1811.02508), equation 3.
    """

    name = "SI-SDR"
    better: Literal["higher"] = "higher"
    sampling_rate = 24000  # Hz
    LIMIT = 100.0  # dB

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,). Raises ScoringError for a silent reference."""
        require_sound(reference)
        x, y = reference.astype(np.float64), decoded.astype(np.float64)
        target = (x @ y) / (x @ x) * x
        signal, noise = target @ target, (y - target) @ (y - target)
        limit = 10 ** (self.LIMIT / 10)
        if signal <= noise / limit:
            return -self.LIMIT
        if noise <= signal / limit:
            return self.LIMIT
        return float(10 * np.log10(signal / noise))
