"""Arrays and rates as a user gives them, and what they come to."""

import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from espnet2.gan_codec.bscodec.format.audio import resampled_length
from espnet2.gan_codec.bscodec.format.channels import MEAN, ChannelMix
from espnet2.gan_codec.bscodec.format.header import BscHeader

MAX_CHANNELS = 64  # more than that is an array the wrong way round
ORIGINAL = "original"


class CodecError(ValueError):
    """Audio, codes or a choice of bands that this codec cannot work with: one line."""


class SampleCounter:
    """Hand blocks on and count their samples."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.blocks = blocks
        self.count = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.count += len(block)
            yield block


def as_channels(audio: np.ndarray) -> np.ndarray:
    """Return (T, C) float32 of what ``Codec.encode`` takes. Raises CodecError."""
    audio = np.asarray(audio)
    if audio.ndim not in (1, 2) or audio.shape[-1] > MAX_CHANNELS and audio.ndim == 2:
        raise CodecError(f"audio has shape {audio.shape}: expected (T,) or (T, channels)")
    if not audio.size:
        raise CodecError("cannot encode empty audio")
    if audio.dtype.kind == "i":
        audio = audio / -float(np.iinfo(audio.dtype).min)
    elif audio.dtype.kind != "f":
        raise CodecError(f"audio is {audio.dtype}: expected floats or signed integers")
    with np.errstate(over="ignore"):
        audio = audio.astype(np.float32)
    if not np.isfinite(audio).all():
        raise CodecError("cannot encode audio that holds NaN or infinite samples")
    return audio if audio.ndim == 2 else audio[:, None]


def as_finite(blocks: list[np.ndarray]) -> np.ndarray:
    """Return decoded blocks as one. Raises CodecError: weights that make NaN or infinite ones."""
    audio = np.concatenate(blocks)
    if not np.isfinite(audio).all():
        raise CodecError("decoded audio holds NaN or infinite samples")
    return audio


def as_mono(audio: np.ndarray) -> np.ndarray:
    """Return (T,) float32, the mean of all channels, and warn where that loses much."""
    channels = as_channels(audio)
    mix = ChannelMix(MEAN, channels.shape[1], "audio")
    mono = mix(channels)
    warn_of_loss(mix, None)
    return mono


def warn_of_loss(mix: ChannelMix, notice: Callable[[str], object] | None) -> None:
    """Tell ``notice``, or with None Python's warnings, of an average that loses much."""
    if mix.warning:
        (notice or warnings.warn)(mix.warning)


def playback(header: BscHeader, rate: int | str | None = None) -> tuple[int, int]:
    """Return the rate in Hz and the length in samples that decoding gives.

    Args:
        header: of the codes.
        rate: in Hz, or ``"original"``, which is the codes' own where no other is kept; None: the
            codes' own.

    Raises:
        CodecError: the rate is none.
    """
    if rate is None:
        return header.sampling_rate, header.num_samples
    if rate == ORIGINAL:
        rate = header.original_rate or header.sampling_rate
    new_rate = as_rate(rate)
    if new_rate == header.original_rate:
        return new_rate, header.original_samples
    return new_rate, resampled_length(header.num_samples, header.sampling_rate, new_rate)


def to_length(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut or pad blocks (n, ...) to ``length`` samples: resampling twice rounds twice."""
    done, shape = 0, ()
    for block in blocks:
        block, shape = block[: length - done], block.shape[1:]
        done += len(block)
        yield block
    if done < length:
        yield np.zeros((length - done, *shape), dtype=np.float32)


def as_rate(rate: int | str) -> int:
    """Return a rate in Hz. Raises CodecError: it is none."""
    if isinstance(rate, str) or not 0 < rate < 2**31 or rate != int(rate):
        raise CodecError(f"sampling rate {rate}: expected a whole number of Hz")
    return int(rate)


def check_same_model(header: BscHeader, mine: BscHeader, name: str) -> None:
    """Raise CodecError unless codes under ``header`` are of the model that has ``mine``."""
    if header.fingerprint != mine.fingerprint:
        raise CodecError(
            f"{name}: made by the model '{header.model}' with fingerprint "
            f"{header.fingerprint}; this is '{mine.model}' with {mine.fingerprint}"
        )
    for field in ("sampling_rate", "hop_length", "bands", "codebook_sizes"):
        theirs, ours = getattr(header, field), getattr(mine, field)
        if theirs != ours:
            raise CodecError(f"{name}: its {field} {theirs} are not this model's {ours}")
