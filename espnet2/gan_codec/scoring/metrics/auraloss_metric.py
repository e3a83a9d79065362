"""What the distances taken from the auraloss library have in common."""

from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import optional_module

if TYPE_CHECKING:
    pass


class AuralossMetric:
    """A loss of auraloss as a :class:`~espnet2.gan_codec.scoring.metrics.metric.Metric`.

    Two rules make it total. Audio shorter than one analysis window, which auraloss refuses, is
    lengthened with silence to one window. Silence needs none: magnitudes have a floor of 1e-4.
    """

    better: Literal["lower"] = "lower"
    sampling_rate = 24000  # Hz, as in the paper; the distances depend on it

    def __init__(self, loss: Any) -> None:
        self._loss: Any = loss

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,) float32, T >= 1; 0 says that they are equal."""
        import torch

        missing = max(0, self._loss.fft_size - len(reference))
        pair = [
            torch.from_numpy(np.pad(x, (0, missing)))[None, None] for x in (decoded, reference)
        ]
        with torch.inference_mode():
            return self._loss(*pair).item()


def import_auraloss() -> ModuleType:
    """Return ``auraloss.freq``. Raises UnavailableError where auraloss is not installed."""
    return optional_module("auraloss.freq", "auraloss", extra="demo")
