"""What a codec in training sounds and looks like: original and decoded audio, side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.pictures import RANGE_DB, power_spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 5.0  # of a recording, from its beginning
PER_OCTAVE = 4  # samples in each doubling of the number of epochs
COLOURS = 32  # of a picture; more make the file larger, not clearer


@dataclass(frozen=True)
class Sample:
    """An utterance before and after the codec.

    Attributes:
        name: ESPnet's utterance id.
        rate: in Hz.
        original, decoded: (T,) float32.
    """

    name: str
    rate: int
    original: np.ndarray
    decoded: np.ndarray


def is_due(epoch: int, last_epoch: int) -> bool:
    """Say whether ``epoch``, counted from 1, gets samples: often at first, and at the very end.

    A thousand epochs so have 36 samples an utterance; a sample takes up to 1 MB.
    """
    interval = max(1, (1 << epoch.bit_length()) // (2 * PER_OCTAVE))
    return epoch % interval == 0 or epoch == last_epoch


@torch.no_grad()
def make_sample(model: Any, name: str, audio: torch.Tensor) -> Sample:
    """Code and decode the first SECONDS of an utterance.

    Args:
        model: ESPnet's ``ESPnetGANCodecModel`` with any codec, in eval mode.
        name: the utterance's id.
        audio: (T,) float at the codec's rate, on the model's device.
    """
    rate = model.meta_info()["fs"]
    audio = audio[: round(SECONDS * rate)]
    decoded = model.decode(model.encode(audio[None])).flatten()
    decoded = decoded[: len(audio)]  # codes are of whole frames
    return Sample(name, rate, audio.float().cpu().numpy(), decoded.float().cpu().numpy())


def draw(sample: Sample, title: str) -> Figure:
    """Draw both spectrograms, on one scale: 0 dB is the original's maximum."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    powers = [power_spectrogram(audio) for audio in (sample.original, sample.decoded)]
    reference = max(powers[0].max(), 1e-12)
    extent = (0, len(sample.original) / sample.rate, 0, sample.rate / 2000)
    scale = {"cmap": colormaps["magma"].resampled(COLOURS), "vmin": -RANGE_DB, "vmax": 0}
    layout = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": extent}
    figure = Figure(figsize=(8, 5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for panel, power, text in zip(panels, powers, ("original", title), strict=True):
        decibels = 10 * np.log10(np.maximum(power / reference, 10 ** (-RANGE_DB / 10)))
        image = panel.imshow(decibels, **scale, **layout)
        panel.set_title(f"{sample.name}, {text}", fontsize="medium", parse_math=False)
        panel.set_ylabel("kHz")
    panels[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=panels, label="dB")
    return figure


def publish(sample: Sample, epoch: int, folder: Path, writer: Any | None) -> None:
    """Write ``<folder>/<name>/<epoch>ep.png``, and audio and picture to TensorBoard.

    The original is added once, when its folder is made.

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``, or None for the picture file alone.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    folder = folder / sample.name.replace(os.sep, "_")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw(sample, f"decoded after epoch {epoch}")
    with atomic_write(folder / f"{epoch}ep.png") as temporary:
        figure.savefig(temporary, format="png")
    if writer is None:
        return
    if is_new:
        _add_audio(writer, f"samples/{sample.name}/original", sample.original, epoch, sample.rate)
    _add_audio(writer, f"samples/{sample.name}/decoded", sample.decoded, epoch, sample.rate)
    writer.add_figure(f"samples/{sample.name}/spectrograms", figure, epoch)


def _add_audio(writer: Any, tag: str, audio: np.ndarray, epoch: int, rate: int) -> None:
    writer.add_audio(tag, audio[None].clip(-1, 1), epoch, rate)
