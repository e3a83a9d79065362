"""Energy by bands: where in the spectrum a codec adds or loses sound."""

import numpy as np

EDGES = (0, 500, 2000, 4000, 8000, 12000)  # Hz; the bands of the paper's five-band model


def band_energies(audio: np.ndarray, sampling_rate: int) -> tuple[float, ...]:
    """Return the energy of (T,) in each band: sums of squared samples, as Parseval has it."""
    power = np.abs(np.fft.rfft(audio.astype(np.float64))) ** 2 * 2 / len(audio)
    power[0] /= 2
    if len(audio) % 2 == 0:
        power[-1] /= 2
    places = np.searchsorted(np.fft.rfftfreq(len(audio), 1 / sampling_rate), EDGES)
    places[-1] += sampling_rate == 2 * EDGES[-1] and len(audio) % 2 == 0  # the Nyquist bin
    return tuple(float(power[a:b].sum()) for a, b in zip(places, places[1:], strict=False))
