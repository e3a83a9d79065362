"""Fit ``page/src/resample.js``'s sharp filter to soxr's: ``python -m tests.web_page.soxr_filter``.

soxr's answer to an impulse, from 48 to 24 kHz, is a sinc below a Kaiser window; this prints the
constants of both, and how much of soxr's answer they leave over.
"""

import numpy as np
import soxr
from scipy.optimize import minimize

RATE, NEW_RATE = 48000, 24000
GUESS = (0.9136, 13.0, 8.4)  # as in resample.js: PASS_BAND, BETA, LENGTH


def response(pass_band: float, beta: float, length: float, times: np.ndarray) -> np.ndarray:
    """The filter at times in input samples, as resample.js makes it."""
    width = (1 - pass_band) * NEW_RATE / RATE
    cutoff = NEW_RATE / RATE - width / 2
    inside = np.clip(1 - (times * width / length) ** 2, 0, 1)
    window = np.where(inside > 0, np.i0(beta * np.sqrt(inside)) / np.i0(beta), 0)
    return cutoff * np.sinc(cutoff * times) * window


def main() -> None:
    impulse = np.zeros(4096)
    impulse[2048] = 1
    expected = soxr.resample(impulse, RATE, NEW_RATE, quality="HQ")
    times = np.arange(len(expected)) * RATE / NEW_RATE - 2048

    def error(factors: np.ndarray) -> float:
        values = np.array(GUESS) * factors
        return float(
            np.square(response(*values, times) - expected).sum() / np.square(expected).sum()
        )

    options = {"xatol": 1e-9, "fatol": 1e-20, "maxiter": 4000}
    fit = minimize(error, np.ones(3), method="Nelder-Mead", options=options)
    pass_band, beta, length = np.array(GUESS) * fit.x
    print(f"PASS_BAND {pass_band:.7f}  BETA {beta:.4f}  LENGTH {length:.5f}")
    print(f"left over: {10 * np.log10(fit.fun):.1f} dB")


if __name__ == "__main__":
    main()
