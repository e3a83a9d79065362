"""What is coded of the channels of a signal, and how much their average loses."""

import math

import numpy as np

from espnet2.gan_codec.bscodec.format.audio import AudioError, downmix
from espnet2.gan_codec.bscodec.format.header import MAX_CHANNELS

MEAN, KEEP = "mean", "keep"
LOSS_DB = 12.0  # averaging a signal with silence in 3 other channels loses that much
MIN_SAMPLES = 32  # fewer cancel by chance


class ChannelMix:
    """Make of blocks (n, channels) what is coded of them: (n,) float32, or (n, num_outputs).

    Args:
        choice: ``"mean"`` of all channels, ``"keep"`` all, or the number of one, from 1.
        num_channels: of the signal.
        name: of the signal, for errors and warnings.

    Attributes:
        num_outputs: channels that are left.
        num_samples: of each channel, that have been taken.

    Raises:
        AudioError: no such channel, or more of them than a file can keep.
    """

    def __init__(self, choice: str | int, num_channels: int, name: str) -> None:
        if choice not in (MEAN, KEEP) and choice not in range(1, num_channels + 1):
            count = "one" if num_channels == 1 else num_channels
            raise AudioError(f"{name}: there is no channel {choice}: it has {count}")
        self.num_outputs = num_channels if choice == KEEP else 1
        if self.num_outputs > MAX_CHANNELS:
            raise AudioError(f"{name}: {num_channels} channels: no more than {MAX_CHANNELS} fit")
        self.choice, self.num_channels, self.name = choice, num_channels, name
        self.num_samples = 0
        self._energies = np.zeros(num_channels)
        self._energy_of_mean = 0.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Take the next (n, num_channels) float32 samples."""
        self.num_samples += len(block)
        if isinstance(self.choice, int):
            return np.ascontiguousarray(block[:, self.choice - 1])
        if self.choice == KEEP and self.num_channels > 1:
            return block
        mean = downmix(block)
        if self.num_channels > 1:
            self._energies += np.square(block, dtype=np.float64).sum(axis=0)
            self._energy_of_mean += float(np.square(mean, dtype=np.float64).sum())
        return mean

    @property
    def loss(self) -> float:
        """What averaging has cost against the loudest channel, in dB; 0 where nothing was."""
        loudest = self._energies.max()
        if not loudest:
            return 0.0
        return (
            10 * math.log10(loudest / self._energy_of_mean) if self._energy_of_mean else math.inf
        )

    @property
    def warning(self) -> str | None:
        """A line about an average that loses more than 12 dB; None: all is well."""
        if self.loss <= LOSS_DB or self.num_samples < MIN_SAMPLES:
            return None
        best = int(self._energies.argmax()) + 1
        amount = "everything" if self.loss == math.inf else f"{self.loss:.0f} dB"
        return (
            f"{self.name}: averaging its {self.num_channels} channels loses {amount} of channel "
            f"{best}, since they cancel or the others are quiet: --channels {best} takes that one "
            "alone"
        )
