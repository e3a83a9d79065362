"""What became of a probe signal: its level, and how much of its energy is where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from espnet2.gan_codec.scoring.probe.signals import EDGE_SECONDS, Probe

FREQUENCY_SHARE = 0.03  # of a frequency: how far energy may be off
STATIC_WINDOW, MOVING_WINDOW = 0.5, 0.05  # seconds, for frequencies that stay and that move
LOBE = 2  # bins on either side of a line that a Hann window spreads it over
MAX_LEVEL_ERROR = 3.0  # dB
MIN_SHARE = 0.5


@dataclass(frozen=True)
class Result:
    """What was measured of one signal.

    Attributes:
        level_error: dB of the decoded signal's mean power against the original's.
        share: of the decoded energy near the original's frequencies, 0 to 1; None: it has none.
    """

    kind: str
    name: str
    level_error: float
    share: float | None
    level: float | None = None
    frequency: float | None = None

    @property
    def passes(self) -> bool:
        """Whether the level is within 3 dB and, of lines, half of the energy in place."""
        in_place = self.share is None or self.share >= MIN_SHARE
        return abs(self.level_error) <= MAX_LEVEL_ERROR and in_place


def measure(probe: Probe, decoded: np.ndarray, rate: int) -> Result:
    """Compare a decoded signal (T,) with the probe's, both at ``rate`` Hz."""
    error = level(decoded) - level(probe.audio)
    share = None if probe.tracks is None else share_in_place(probe, decoded, rate)
    return Result(probe.kind, probe.name, error, share, probe.level, probe.frequency)


def level(audio: np.ndarray) -> float:
    """Mean power in dB against full scale, not below -120."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def share_in_place(probe: Probe, decoded: np.ndarray, rate: int) -> float:
    """Share of the decoded energy within 3 %, or a window's lobe, of the probe's frequencies.

    The ends, where the signal fades, are left out.
    """
    assert probe.tracks is not None
    edge = round(2 * EDGE_SECONDS * rate)
    ends = probe.tracks(np.array([0.0, 0.5, 1.0]) * len(decoded) / rate)
    window = round((STATIC_WINDOW if np.ptp(ends, axis=1).max() < 1 else MOVING_WINDOW) * rate)
    hertz, time, spectrum = signal.stft(
        decoded[edge : len(decoded) - edge], rate, nperseg=window, boundary=None, padded=False
    )
    power = np.abs(spectrum) ** 2
    tracks = probe.tracks(time + edge / rate)  # (partials, frames)
    # within a moving window the frequency goes on
    drift = np.abs(np.gradient(tracks, axis=1)) if tracks.shape[1] > 1 else 0 * tracks
    width = np.maximum(FREQUENCY_SHARE * tracks, LOBE * rate / window) + drift
    near = (np.abs(hertz[:, None, None] - tracks[None]) <= width[None]).any(axis=1)
    total = power.sum()
    return float(power[near].sum() / total) if total > 0 else 0.0


def failures(results: Sequence[Result]) -> list[Result]:
    """The signals that do not pass, the worst level first."""
    failed = [result for result in results if not result.passes]
    return sorted(failed, key=lambda result: -abs(result.level_error))
