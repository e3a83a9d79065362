"""Augmentation of the training audio on its device, so that no chunk is trained on twice.

Each is applied to some items of a batch, drawn anew every step: another speed (and so
another pitch), tones in place of the recording, a second item mixed in, a steep low-pass, a fade,
another level.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.config import check_keys, is_number, positive_int, require
from espnet2.gan_codec.bscodec.training.step_cache import is_same_batch

TAPS = 32  # of the interpolation
PEAK = 0.99  # what a change of level may reach
EDGE = 100.0  # Hz from a low-pass's pass band to its stop band
PARTIALS = 4  # of a tone, at most

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """``codec_conf.augment_params``; chances are of one item of a batch.

    Attributes:
        length: samples that are left of a chunk; a random place of it.  The chunk must be as
            much longer as the fastest speed needs.
        speed_chance, speed: factor, uniform in its logarithm.
        tone_chance: of synthetic tones in place of the recording.
        tone, tone_level: frequency in Hz, uniform in its logarithm, and level in dB.
        pure_chance: of a tone: that it has no partials but its lowest.
        round_chance: of a tone: that it begins at a multiple of ``round_hz``.  Where that is a
            multiple of half of the frame rate, one that does not glide has the same phase in
            every frame, or the opposite one in every second, which is rare for others.
        mix_chance, mix_snr: dB that another item of the batch lies below.
        low_pass_chance, low_pass: edge in Hz, uniform in its logarithm.
        fade_chance, fade: dB that the level falls or rises by.
        gain: dB, as far as nothing clips.
    """

    length: int
    speed_chance: float = 0.6
    speed: Range = (0.75, 1.35)
    tone_chance: float = 0.03
    tone: Range = (80.0, 8000.0)
    tone_level: Range = (-50.0, -12.0)
    pure_chance: float = 0.0
    round_chance: float = 0.0
    round_hz: float = 150.0
    mix_chance: float = 0.3
    mix_snr: Range = (0.0, 20.0)
    low_pass_chance: float = 0.12
    low_pass: Range = (3000.0, 10000.0)
    fade_chance: float = 0.1
    fade: Range = (-60.0, -20.0)
    gain: Range = (-18.0, 9.0)

    @classmethod
    def from_dict(cls, params: Mapping[str, Any]) -> AugmentConfig:
        """Check ``augment_params``.

        Raises:
            ConfigError: in one line naming the key and what was expected.
        """
        check_keys("augment_params", params, [field.name for field in dataclasses.fields(cls)])
        positive_int("augment_params.length", params.get("length"))
        values = dict(params)
        for name, value in params.items():
            key = f"augment_params.{name}"
            if name.endswith("_chance"):
                require(is_number(value) and 0 <= value <= 1, key, "0 to 1", value)
            elif name == "round_hz":
                require(is_number(value) and value > 0, key, "a number above 0", value)
            elif name != "length":
                pair = isinstance(value, (list, tuple)) and len(value) == 2
                in_order = pair and all(map(is_number, value)) and value[0] <= value[1]
                require(in_order, key, "[low, high]", value)
                if name in ("speed", "tone", "low_pass"):
                    require(value[0] > 0, key, "numbers above 0", value)
                values[name] = tuple(value)
        return cls(**values)


class Augmentation:
    """Change a batch of chunks as the configuration says, with torch's generator of its device.

    Args:
        params: see :class:`AugmentConfig`.
        fs: sampling rate in Hz.

    Raises:
        ConfigError: in one line naming the key.
    """

    def __init__(self, params: Mapping[str, Any], fs: int) -> None:
        self.config = AugmentConfig.from_dict(params)
        self.fs = fs
        self._last: tuple[torch.Tensor, int, torch.Tensor] | None = None

    def of_batch(self, audio: torch.Tensor) -> torch.Tensor:
        """Change chunks as a call does; both steps over one batch get the same."""
        if self._last is None or not is_same_batch(*self._last[:2], audio):
            self._last = audio, audio._version, self(audio)
        return self._last[2]

    @torch.no_grad()
    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        """Change chunks (B, T) float: (B, length).

        Raises:
            ValueError: if the chunks are too short for the fastest speed.
        """
        config, draw = self.config, _Draw(audio)
        fastest = max(config.speed[1], 1.0) if config.speed_chance else 1.0
        min_length = math.ceil(config.length * fastest)
        if audio.shape[1] < min_length:
            raise ValueError(
                f"chunks of {audio.shape[1]} samples are too short for augment_params: expected "
                f"at least {min_length}, the length times the fastest speed"
            )
        speed = torch.where(
            draw.bernoulli(config.speed_chance), draw.log_uniform(config.speed), 1.0
        )
        x = change_speed(audio, speed, draw.uniform((0.0, 1.0)), config.length)
        if config.tone_chance:
            tones = draw_tones(draw, config, self.fs)
            x = torch.where(draw.bernoulli(config.tone_chance), tones, x)
        if config.mix_chance:
            other = mix(x, x.roll(1, 0), draw.uniform(config.mix_snr))
            x = torch.where(draw.bernoulli(config.mix_chance), other, x)
        if config.low_pass_chance:
            other = low_pass(x, draw.log_uniform(config.low_pass), self.fs)
            x = torch.where(draw.bernoulli(config.low_pass_chance), other, x)
        if config.fade_chance:
            other = fade(x, draw.uniform(config.fade), draw.bernoulli(0.5))
            x = torch.where(draw.bernoulli(config.fade_chance), other, x)
        return change_gain(x, draw.uniform(config.gain))


class _Draw:
    """Random numbers (B, 1), one an item."""

    def __init__(self, audio: torch.Tensor) -> None:
        self.like = audio[:, :1]

    def uniform(self, bounds: Range) -> torch.Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand_like(self.like)

    def log_uniform(self, bounds: Range) -> torch.Tensor:
        return self.uniform((math.log(bounds[0]), math.log(bounds[1]))).exp()

    def bernoulli(self, probability: float) -> torch.Tensor:
        return torch.rand_like(self.like) < probability


def change_speed(
    audio: torch.Tensor, speed: torch.Tensor, place: torch.Tensor, length: int
) -> torch.Tensor:
    """Play chunks (B, T) ``speed`` (B, 1) times as fast, pitch and all.

    Args:
        place: (B, 1), 0 to 1: where in the chunk the samples that are left begin.
        length: samples that are left.

    Returns:
        (B, length), by windowed sinc interpolation below the lower of the two Nyquist rates.
    """
    first = place * (audio.shape[1] - length * speed).clamp(min=0)
    # at a speed of 1 whole samples, which leaves them as they are
    first = torch.where(speed == 1, first.floor(), first)
    where = first + speed * torch.arange(length, device=audio.device)
    cutoff, reach = 1 / speed.clamp(min=1), TAPS // 2
    centre = where.floor()
    padded = F.pad(audio, (reach, reach))
    out = torch.zeros_like(where)
    for tap in range(1 - reach, reach + 1):
        distance = centre + tap - where
        window = torch.cos(math.pi / 2 * distance / reach).square()
        weight = cutoff * torch.sinc(cutoff * distance) * window
        index = (centre.long() + (tap + reach)).clamp(max=padded.shape[1] - 1)
        out += weight * padded.gather(1, index)
    return out


def draw_tones(draw: _Draw, config: AugmentConfig, fs: int) -> torch.Tensor:
    """Beeps and chirps, (B, length): partials that glide, gated on and off."""
    time = torch.arange(config.length, device=draw.like.device) / fs
    start, glide = draw.log_uniform(config.tone), draw.uniform((-1.0, 1.0))
    if config.round_chance:
        rounded = (start / config.round_hz).round().clamp(min=1) * config.round_hz
        start = torch.where(draw.bernoulli(config.round_chance), rounded, start)
    glide = glide * draw.bernoulli(0.5)  # octaves a second
    # the phase of start * 2^(glide * t), in cycles
    rate = glide * math.log(2)
    glides = rate.abs() > 1e-3
    rate = torch.where(glides, rate, 1.0)
    cycles = start * torch.where(glides, torch.expm1(rate * time) / rate, time)
    overtones = ~draw.bernoulli(config.pure_chance) if config.pure_chance else 1.0
    total = torch.zeros_like(cycles)
    for partial in range(1, PARTIALS + 1):
        level = overtones * draw.uniform((0.0, 1.0)) / partial if partial > 1 else 1.0
        audible = start * partial * 2 ** (glide * time) < 0.48 * fs
        phase = partial * cycles + draw.uniform((0.0, 1.0))
        total += level * audible * torch.sin(2 * math.pi * phase)
    gate = torch.sin(2 * math.pi * (draw.log_uniform((0.5, 12.0)) * time + draw.uniform((0, 1))))
    gate = torch.sigmoid(draw.log_uniform((5.0, 500.0)) * (gate + draw.uniform((0.0, 1.5))))
    return total * gate * 10 ** (draw.uniform(config.tone_level) / 20)


def mix(audio: torch.Tensor, other: torch.Tensor, snr: torch.Tensor) -> torch.Tensor:
    """Add ``other`` (B, T), ``snr`` (B, 1) dB below ``audio`` (B, T), where neither is silent."""
    power, other_power = (x.square().mean(1, keepdim=True) for x in (audio, other))
    gain = (power / other_power.clamp(min=1e-12)).sqrt() * 10 ** (-snr / 20)
    return audio + other * torch.where((power > 1e-10) & (other_power > 1e-10), gain, 0.0)


def low_pass(audio: torch.Tensor, edge: torch.Tensor, fs: int) -> torch.Tensor:
    """Cut (B, T) off above ``edge`` (B, 1) Hz."""
    spectrum = torch.fft.rfft(F.pad(audio, (0, audio.shape[1] // 8)))
    hertz = torch.linspace(0, fs / 2, spectrum.shape[1], device=audio.device)
    past = ((hertz - edge) / EDGE).clamp(0, 1)
    filtered = torch.fft.irfft(spectrum * torch.cos(math.pi / 2 * past).square())
    return filtered[:, : audio.shape[1]]


def fade(audio: torch.Tensor, depth: torch.Tensor, rising: torch.Tensor) -> torch.Tensor:
    """Let the level of (B, T) fall, or rise, evenly by ``depth`` (B, 1) dB."""
    ramp = torch.linspace(0, 1, audio.shape[1], device=audio.device)
    return audio * 10 ** (depth * torch.where(rising, 1 - ramp, ramp) / 20)


def change_gain(audio: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Apply ``gain`` (B, 1) dB to (B, T), or as much of it as does not clip."""
    peak = audio.abs().amax(1, keepdim=True).clamp(min=1e-9)
    return audio * torch.minimum(10 ** (gain / 20), PEAK / peak)
