"""Put a pair of utterances through metrics."""

from collections.abc import Iterable

import numpy as np
import soxr

from espnet2.gan_codec.scoring.metrics.metric import Metric, ScoringError

MAX_LENGTH_DIFFERENCE = 0.1  # seconds; more is another utterance or a broken decoder


class Pair:
    """A reference and what was decoded, of equal length, at any rate that is asked for.

    Args:
        reference: (T,) float32 in [-1, 1].
        decoded: (T',) float32. Codecs that work in frames may return a little more or less
            than they were given: the longer one is cut to the other's length.
        sampling_rate: of both, in Hz.

    Raises:
        ScoringError: empty or not finite, or lengths that differ by more than 0.1 s.
    """

    def __init__(self, reference: np.ndarray, decoded: np.ndarray, sampling_rate: int) -> None:
        pair = [_checked(reference, "reference"), _checked(decoded, "decoded audio")]
        lengths = [len(x) / sampling_rate for x in pair]
        if abs(lengths[0] - lengths[1]) > MAX_LENGTH_DIFFERENCE:
            raise ScoringError(
                f"the reference lasts {lengths[0]:.2f} s and the decoded audio {lengths[1]:.2f} "
                f"s: expected at most {MAX_LENGTH_DIFFERENCE} s of difference"
            )
        self.sampling_rate = sampling_rate
        self._at_rate = {sampling_rate: [x[: min(map(len, pair))] for x in pair]}

    @property
    def duration(self) -> float:
        """In seconds."""
        return len(self._at_rate[self.sampling_rate][0]) / self.sampling_rate

    def at(self, rate: int) -> list[np.ndarray]:
        """Return reference and decoded audio (T,) at ``rate`` Hz."""
        if rate not in self._at_rate:
            original = self._at_rate[self.sampling_rate]
            self._at_rate[rate] = [soxr.resample(x, self.sampling_rate, rate) for x in original]
        return self._at_rate[rate]


def score_pair(
    reference: np.ndarray, decoded: np.ndarray, sampling_rate: int, metrics: Iterable[Metric]
) -> dict[str, float]:
    """Return the value of every metric under its name.

    Arguments and errors are those of :class:`Pair`; errors of the metrics are let through.
    """
    pair = Pair(reference, decoded, sampling_rate)
    return {metric.name: metric(*pair.at(metric.sampling_rate)) for metric in metrics}


def score_each(pair: Pair, metrics: Iterable[Metric]) -> tuple[dict[str, float], dict[str, str]]:
    """Return values of the metrics that have one for this pair, and why the others have none.

    A metric may fail in any way on a pair: that costs this one value and nothing else.
    """
    values, reasons = {}, {}
    for metric in metrics:
        try:
            value = float(metric(*pair.at(metric.sampling_rate)))
            if not np.isfinite(value):
                raise ScoringError(f"came out as {value}")
            values[metric.name] = value
        except Exception as error:
            reasons[metric.name] = " ".join(str(error).split()) or type(error).__name__
    return values, reasons


def _checked(audio: np.ndarray, name: str) -> np.ndarray:
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 1 or not len(audio):
        raise ScoringError(f"{name}: expected samples (T,), got an array of shape {audio.shape}")
    if not np.isfinite(audio).all():
        raise ScoringError(f"{name}: holds NaN or infinity")
    return audio
