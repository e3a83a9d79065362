"""The battery of probe signals, of a second or two each, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import signal

SECONDS = 1.0
EDGE_SECONDS = 0.02  # of the fades that tones begin and end with
TONES = (
    50,
    80,
    120,
    200,
    330,
    500,
    800,
    1000,
    1500,
    2000,
    3000,
    4000,
    5000,
    6500,
    8000,
    9500,
    11000,
)
HELD_BACK = (
    65,
    100,
    157,
    262,
    415,
    659,
    932,
    1245,
    1760,
    2489,
    3520,
    4699,
    5920,
    7458,
    8870,
    10548,
)
LEVELS = (-53.0, -43.0, -33.0, -23.0, -13.0)  # dB of a sine's mean power against full scale
SIGNAL_LEVELS = (-60.0, -40.0, -20.0, -6.0, 0.0)  # dB of the peak
Tracks = Callable[[np.ndarray], np.ndarray]  # seconds (n,) to Hz (partials, n)


@dataclass(frozen=True)
class Probe:
    """One signal.

    Attributes:
        kind: what it is one of.
        name: its parameters.
        audio: (T,) float32.
        tracks: frequencies that hold its energy, over time; None: it has no lines.
        level: dB of its mean power against full scale, where the kind is about levels.
        frequency: Hz, of a single tone.
    """

    kind: str
    name: str
    audio: np.ndarray
    tracks: Tracks | None = None
    level: float | None = None
    frequency: float | None = field(default=None)


def battery(
    rate: int, clips: Mapping[str, np.ndarray], tones: tuple[float, ...] = TONES
) -> Iterator[Probe]:
    """Yield all probe signals.

    Args:
        rate: in Hz; what does not fit below half of it is left out.
        clips: recordings at ``rate`` by name, for what is done to speech and music.
        tones: frequencies of the single tones, in Hz.
    """
    yield from _tones(rate, tones)
    yield from _chords(rate)
    yield from _sweeps(rate)
    yield from _clicks(rate)
    yield from _noises(rate)
    for name, audio in clips.items():
        yield from _recordings(name, audio, rate)


def sine_bank(rate: int, tracks: Tracks, gains: tuple[float, ...], db: float) -> np.ndarray:
    """Sines along frequency tracks, with fades, their mean power at ``db`` against full scale."""
    time = np.arange(round(SECONDS * rate)) / rate
    phases = 2 * np.pi * np.cumsum(tracks(time), axis=1) / rate
    audio = (np.array(gains)[:, None] * np.sin(phases)).sum(axis=0)
    edge = round(EDGE_SECONDS * rate)
    ramp = np.sin(np.linspace(0, np.pi / 2, edge)) ** 2
    audio[:edge] *= ramp
    audio[-edge:] *= ramp[::-1]
    return at_level(audio, db)


def at_level(audio: np.ndarray, db: float) -> np.ndarray:
    """Scale to a mean power of ``db`` against full scale."""
    power = np.mean(np.square(audio, dtype=np.float64))
    return (audio * np.sqrt(10 ** (db / 10) / max(power, 1e-30))).astype(np.float32)


def _constant(*hertz: float) -> Tracks:
    return lambda time: np.tile(np.array(hertz, dtype=float)[:, None], len(time))


def _tones(rate: int, tones: tuple[float, ...]) -> Iterator[Probe]:
    for hertz in tones:
        if hertz >= 0.48 * rate:
            continue
        for level in LEVELS:
            audio = sine_bank(rate, _constant(hertz), (1.0,), level)
            name = f"{hertz:g} Hz at {level:g} dB"
            yield Probe("tone", name, audio, _constant(hertz), level, hertz)


def _chords(rate: int) -> Iterator[Probe]:
    chords = {
        "pair 440, 554 Hz": (440, 554),
        "pair 2000, 2100 Hz": (2000, 2100),
        "pair 300, 7000 Hz": (300, 7000),
        "triad 523, 659, 784 Hz": (523, 659, 784),
        "bell 1200, 2750, 5400 Hz": (1200, 2750, 5400),
    }
    for name, hertz in chords.items():
        gains = tuple(0.7**i for i in range(len(hertz)))
        yield Probe(
            "chord", name, sine_bank(rate, _constant(*hertz), gains, -20), _constant(*hertz)
        )


def _sweep(low: float, high: float) -> Tracks:
    return lambda time: (low * (high / low) ** (time / SECONDS))[None]


def _vibrato(pitch: float, count: int) -> Tracks:
    order = np.arange(1, count + 1)[:, None]
    return lambda time: order * pitch * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))


def _sweeps(rate: int) -> Iterator[Probe]:
    for low, high in ((80, 800), (500, 5000), (2500, 9000), (9000, 2500), (100, 11000)):
        tracks = _sweep(low, high)
        yield Probe("sweep", f"{low} to {high} Hz", sine_bank(rate, tracks, (1.0,), -20), tracks)
    for pitch in (110, 220, 440, 880):
        count = min(12, int(0.45 * rate / pitch))
        tracks, gains = _vibrato(pitch, count), tuple(1 / i for i in range(1, count + 1))
        audio = sine_bank(rate, tracks, gains, -20)
        yield Probe("vibrato", f"{pitch} Hz, {count} partials", audio, tracks)


def _clicks(rate: int) -> Iterator[Probe]:
    for spacing in (0.5, 0.1, 0.02):
        audio = np.zeros(round(SECONDS * rate))
        audio[round(0.05 * rate) :: round(spacing * rate)] = 0.5
        yield Probe("click", f"every {1000 * spacing:g} ms", audio.astype(np.float32))


def _noises(rate: int) -> Iterator[Probe]:
    rng = np.random.default_rng(0)
    white = rng.standard_normal(round(SECONDS * rate))
    spectrum = np.fft.rfft(white)
    hertz = np.fft.rfftfreq(len(white), 1 / rate)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20)), len(white))
    noises = {"white": white, "pink": pink}
    for low, high in ((100, 300), (1000, 2000), (4000, 8000)):
        band = np.where((hertz >= low) & (hertz < high), spectrum, 0)
        noises[f"{low} to {high} Hz"] = np.fft.irfft(band, len(white))
    for name, audio in noises.items():
        for level in (-45.0, -20.0):
            yield Probe("noise", f"{name} at {level:g} dB", at_level(audio, level), level=level)


def _recordings(name: str, audio: np.ndarray, rate: int) -> Iterator[Probe]:
    """What microphones and channels do to a recording; its level from very low to full scale."""
    rng = np.random.default_rng(1)
    audio = audio.astype(np.float64)
    for edge in (1000, 3400, 8000):
        sos = signal.butter(8, edge, fs=rate, output="sos")
        yield _recording("low-pass", f"{name}, {edge} Hz", signal.sosfiltfilt(sos, audio))
    tail = rng.standard_normal(round(0.8 * rate)) * np.exp(
        -np.arange(round(0.8 * rate)) * 8 / rate
    )
    tail[0] = 5.0
    wet = signal.fftconvolve(audio, tail)[: len(audio)]
    yield _recording("reverberation", name, wet / max(1e-9, np.abs(wet).max()) * 0.7)
    for snr in (20, 5):
        power = np.mean(audio**2) * 10 ** (-snr / 10)
        noisy = audio + rng.standard_normal(len(audio)) * np.sqrt(power)
        yield _recording("noise added", f"{name}, {snr} dB", noisy / max(1.0, np.abs(noisy).max()))
    late = audio.copy()
    late[: len(late) // 2] = 0
    yield _recording("silence first", name, late)
    peak = np.abs(audio).max()
    for level in SIGNAL_LEVELS:
        scaled = audio / max(peak, 1e-9) * 10 ** (level / 20)
        yield _recording("level", f"{name}, peak {level:g} dB", scaled)


def _recording(kind: str, name: str, audio: np.ndarray) -> Probe:
    return Probe(kind, name, audio.astype(np.float32))
