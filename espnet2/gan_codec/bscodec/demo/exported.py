"""What an exported form of a model loses, measured on the demonstration's clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.clips import Clip
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.hub.onnx_codec import OnnxCodec
from espnet2.gan_codec.scoring.metrics.mel_distance import MelDistance

NEAR_TIE = 1e-4  # of a latent's squared distance to its codes


@dataclass(frozen=True)
class Coder:
    """Audio (T,) float32 at the model's rate to codes (N, F), and codes and T to audio (T,)."""

    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray, int], np.ndarray]

    @classmethod
    def of(cls, codec: Codec | OnnxCodec) -> Coder:
        """The coder that a codec is."""
        if isinstance(codec, OnnxCodec):
            return cls(
                lambda audio: codec.encode(audio[None])[0],
                lambda codes, length: codec.decode(codes[None], length)[0],
            )

        def decode(codes: np.ndarray, length: int) -> np.ndarray:
            header = codec.header(len(codes), length)
            return codec.decode(EncodedAudio(**vars(header), codes=codes))

        return cls(lambda audio: codec.encode(audio, codec.sampling_rate).codes, decode)


@dataclass(frozen=True)
class Loss:
    """Of all clips together.

    Attributes:
        codes, differing: how many there are, and how many the form has others.
        near_ties: of those that differ, where both codes are equally near to the last digits.
        audio_error: the largest difference of a sample between what both make of the same codes.
        mel, mel_exported: mean mel distance to the originals, of the model and of the form.
    """

    codes: int
    differing: int
    near_ties: int
    audio_error: float
    mel: float
    mel_exported: float

    def __str__(self) -> str:
        return (
            f"{self.differing} of {self.codes} codes differ ({self.near_ties} near-ties), audio "
            f"of the same codes by {self.audio_error:.1e} at most, mel distance "
            f"{self.mel_exported:.4f} ({self.mel:.4f} before)"
        )


def measure(codec: Codec, exported: Coder, clips: Sequence[Clip]) -> Loss:
    """Code all clips by a model and by an exported form of it, and compare."""
    own, mel = Coder.of(codec), MelDistance()
    losses = []
    for clip in clips:
        audio = read_clip(clip, codec.sampling_rate)
        ours, theirs = own.encode(audio), exported.encode(audio)
        decoded = own.decode(ours, len(audio))
        difference = np.abs(exported.decode(ours, len(audio)) - decoded).max()
        distances = mel(audio, decoded), mel(audio, exported.decode(theirs, len(audio)))
        ties = near_ties(codec, audio, ours, theirs)
        differing = int((ours != theirs).sum())
        losses.append(Loss(ours.size, differing, ties, float(difference), *distances))
    columns = zip(*map(dataclasses.astuple, losses), strict=True)
    totals = [list(column) for column in columns]
    codes, different, tied = (sum(column) for column in totals[:3])
    means = [float(np.mean(column)) for column in totals[4:]]
    return Loss(codes, different, tied, max(totals[3]), *means)


def read_clip(clip: Clip, sampling_rate: int) -> np.ndarray:
    """A clip's audio (T,) float32, mono."""
    with AudioReader(clip.path) as reader:
        return np.concatenate(list(reader.mono_blocks(sampling_rate)))


@torch.no_grad()
def near_ties(codec: Codec, audio: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> int:
    """Count the frames where two codes (N, F) differ and the latent is as near to the one as to
    the other, up to ``NEAR_TIE``. Stages of one band are not looked into: 0.
    """
    generator = codec.model.generator
    layers = getattr(generator.quantizer, "layers", [])
    latents = generator.latents(torch.from_numpy(audio)[None, None].to(codec.device))
    if len(layers) != len(latents) or np.array_equal(ours, theirs):
        return 0
    count = 0
    for layer, x, a, b in zip(layers, latents, ours, theirs, strict=True):
        frames = np.flatnonzero(a != b)
        x = x[..., frames].double()
        first, second = (
            (x - layer.decode(torch.from_numpy(codes[None, frames]).to(x.device)).double())
            .square()
            .sum(1)
            for codes in (a, b)
        )
        count += int(((first - second).abs() <= NEAR_TIE * first).sum())
    return count
