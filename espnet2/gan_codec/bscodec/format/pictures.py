"""Pictures of audio for a page: bare, without axes, which the page draws as text."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import torch

WINDOW = 512  # samples; 47 Hz a bin at 24 kHz
HOP = 160  # samples
MAX_COLUMNS = 720  # about as wide as a page shows them
RANGE_DB = 80
COLOURS = 64  # few enough for PNG to pack well, enough for the eye


def power_spectrogram(audio: np.ndarray) -> np.ndarray:
    """Return the power of (T,) float32 as (WINDOW / 2 + 1, columns), low frequencies first.

    Audio that would give more than MAX_COLUMNS has the powers of neighbouring frames averaged.
    """
    x = torch.from_numpy(np.pad(audio, (0, max(0, WINDOW - len(audio)))))
    window = torch.hann_window(WINDOW)
    power = torch.stft(x, WINDOW, HOP, window=window, return_complex=True).abs().square()
    if power.shape[1] > MAX_COLUMNS:
        power = torch.nn.functional.adaptive_avg_pool1d(power, MAX_COLUMNS)
    return power.numpy()


def spectrogram_png(power: np.ndarray, reference: float) -> bytes:
    """Draw a power spectrogram (bins, columns), low frequencies at the bottom.

    Args:
        power: as of :func:`power_spectrogram`.
        reference: the power with the brightest colour; RANGE_DB below it is black.
    """
    floor = 10 ** (-RANGE_DB / 10)
    decibels = 10 * np.log10(np.maximum(power / max(reference, 1e-12), floor))
    return _png(np.rint((np.minimum(decibels, 0) / RANGE_DB + 1) * (COLOURS - 1)), "magma")


def _png(levels: np.ndarray, colours: str) -> bytes:
    """Draw levels from 0 to COLOURS - 1, the first row at the bottom, in matplotlib's colours."""
    from matplotlib import colormaps
    from PIL import Image

    picture = Image.fromarray(levels[::-1].astype(np.uint8))
    palette = colormaps[colours](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    picture.putpalette(palette.tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def codes_png(codes: np.ndarray, sizes: Sequence[int]) -> bytes:
    """Draw codes (N, F), a row a band with the lowest at the bottom, a column a frame.

    Args:
        codes: integers from 0.
        sizes: of the codebooks; a code's colour is its place in its own.
    """
    scale = (COLOURS - 1) / np.maximum(np.asarray(sizes)[:, None] - 1, 1)
    return _png(np.rint(codes * scale), "viridis")


def waveform_path(audio: np.ndarray, peak: float) -> str:
    """Draw the outline of (T,) as the ``d`` of an SVG path, x in 0..MAX_COLUMNS and y in +-100.

    Every column reaches from its samples' minimum to their maximum.

    Args:
        peak: magnitude that takes the whole height.
    """
    columns = min(MAX_COLUMNS, len(audio))
    starts = np.arange(columns) * len(audio) // columns
    scale = 100 / max(peak, 1e-6)
    upper = -scale * np.maximum.reduceat(audio, starts)
    lower = -scale * np.minimum.reduceat(audio, starts)
    # a line of some height where there is silence
    upper, lower = np.minimum(upper, lower - 0.8), np.maximum(lower, upper + 0.8)
    x = (np.arange(columns) + 0.5) * MAX_COLUMNS / columns
    outline = [*zip(x, upper, strict=True), *zip(x[::-1], lower[::-1], strict=True)]
    return "M" + "L".join(f"{a:.4g} {b:.3g}" for a, b in outline) + "Z"


def data_uri(contents: bytes, kind: str) -> str:
    """Return contents of the media type ``kind`` as an address that is the contents."""
    return f"data:{kind};base64,{base64.b64encode(contents).decode()}"
