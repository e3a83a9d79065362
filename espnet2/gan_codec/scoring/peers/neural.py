"""What neural codecs have in common, those at 24 kHz above all."""

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from espnet2.gan_codec.scoring.peers.peer import CodedClip

if TYPE_CHECKING:
    import torch

RATE = 24000  # Hz
CODEBOOK_BITS = 10
FRAME_RATE = 75  # a second
STAGE_KBPS = CODEBOOK_BITS * FRAME_RATE / 1000  # of one codebook of the residual quantizer


class NeuralPeer:
    """A :class:`~espnet2.gan_codec.scoring.peers.peer.Peer` of 10-bit codebooks, 75 frames/s.

    A subclass says how to get from audio (1, 1, T) at 24 kHz to codes (1, K, F) and back.
    """

    def encode(self, audio: "torch.Tensor") -> "torch.Tensor":
        raise NotImplementedError

    def decode(self, codes: "torch.Tensor") -> "torch.Tensor":
        raise NotImplementedError

    def code(self, audio: np.ndarray, sampling_rate: int, target: Path) -> CodedClip:
        """As ``Peer.code``, resampled to 24 kHz and back; the times are the networks' alone."""
        import torch

        x = torch.from_numpy(soxr.resample(audio, sampling_rate, RATE))[None, None]
        with torch.inference_mode():
            begin = time.perf_counter()
            codes = self.encode(x)
            between = time.perf_counter()
            y = self.decode(codes)
            end = time.perf_counter()
        y = soxr.resample(y.flatten().numpy()[: x.shape[-1]], RATE, sampling_rate)
        write_decoded(target, y, len(audio), sampling_rate)
        return CodedClip(CODEBOOK_BITS * codes.numel(), between - begin, end - between)


def write_decoded(target: Path, decoded: np.ndarray, length: int, sampling_rate: int) -> None:
    """Write (T,) as a WAV file of ``length`` samples of 16 bits."""
    fitted = np.pad(decoded, (0, max(0, length - len(decoded))))[:length]
    soundfile.write(target, np.clip(fitted, -1, 1), sampling_rate, format="WAV")


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what packages print and warn of while they load to ourselves."""
    with (
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
