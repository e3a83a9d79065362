"""This project's own codec, coding in the run so that its speed is measured like the others'."""

import math
import time
from pathlib import Path

import numpy as np
import soxr

from espnet2.gan_codec.scoring.metrics.metric import UnavailableError
from espnet2.gan_codec.scoring.peers.neural import write_decoded
from espnet2.gan_codec.scoring.peers.peer import CodedClip


class BSCodec:
    """A BSCodec model. Codes are kept as a ``.bsc`` file beside what is decoded.

    Args:
        model: as ``Codec.from_pretrained`` takes it.

    Raises:
        UnavailableError: the model cannot be had.
    """

    def __init__(self, model: str) -> None:
        from espnet2.gan_codec.bscodec.codec import Codec
        from espnet2.gan_codec.bscodec.hub.error import ModelError

        try:
            self._codec = Codec.from_pretrained(model)
        except ModelError as error:
            raise UnavailableError(str(error)) from error
        self.name = Path(model).stem
        self.setting = f"bscodec {self._codec.fingerprint}"

    def code(self, audio: np.ndarray, sampling_rate: int, target: Path) -> CodedClip:
        """As ``Peer.code``, resampled to the model's rate and back, which takes no time here."""
        rate = self._codec.sampling_rate
        x = soxr.resample(audio, sampling_rate, rate)
        begin = time.perf_counter()
        encoded = self._codec.encode(x, rate)
        between = time.perf_counter()
        y = self._codec.decode(encoded)
        end = time.perf_counter()
        write_decoded(target, soxr.resample(y, rate, sampling_rate), len(audio), sampling_rate)
        bits_per_frame = sum(math.ceil(math.log2(size)) for size in encoded.codebook_sizes)
        bits = encoded.num_frames * bits_per_frame
        return CodedClip(bits, between - begin, end - between, encoded.dumps())
