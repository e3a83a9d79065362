"""Put a pair of recordings through metrics."""

from collections.abc import Iterable

import numpy as np
import soxr

from espnet2.gan_codec.scoring.metric import Metric, ScoringError

MAX_LENGTH_DIFFERENCE = 0.1  # seconds; more is another recording or a broken decoder


def score_pair(
    reference: np.ndarray, decoded: np.ndarray, sampling_rate: int, metrics: Iterable[Metric]
) -> dict[str, float]:
    """Return the value of every metric under its name.

    Args:
        reference: (T,) float32 in [-1, 1].
        decoded: (T',) float32. Codecs that work in frames may return a little more or less
            than they were given: the longer one is cut to the other's length.
        sampling_rate: of both, in Hz. Each metric gets them at its own rate.

    Raises:
        ScoringError: empty or not finite, or lengths that differ by more than 0.1 s.
    """
    pair = [_checked(reference, "reference"), _checked(decoded, "decoded audio")]
    lengths = [len(x) / sampling_rate for x in pair]
    if abs(lengths[0] - lengths[1]) > MAX_LENGTH_DIFFERENCE:
        raise ScoringError(
            f"the reference lasts {lengths[0]:.2f} s and the decoded audio {lengths[1]:.2f} s: "
            f"expected at most {MAX_LENGTH_DIFFERENCE} s of difference"
        )
    pair = [x[: min(map(len, pair))] for x in pair]
    at_rate = {sampling_rate: pair}
    scores = {}
    for metric in metrics:
        rate = metric.sampling_rate
        if rate not in at_rate:
            at_rate[rate] = [soxr.resample(x, sampling_rate, rate) for x in pair]
        scores[metric.name] = metric(*at_rate[rate])
    return scores


def _checked(audio: np.ndarray, name: str) -> np.ndarray:
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 1 or not len(audio):
        raise ScoringError(f"{name}: expected samples (T,), got an array of shape {audio.shape}")
    if not np.isfinite(audio).all():
        raise ScoringError(f"{name}: holds NaN or infinity")
    return audio
