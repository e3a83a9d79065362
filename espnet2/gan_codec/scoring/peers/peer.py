"""What a peer is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class CodedClip:
    """What coding one utterance took.

    Attributes:
        bits: of codes or packets, without the container around them.
        encode_seconds, decode_seconds: of time on the clock.
        bsc: a ``.bsc`` file's contents, of a codec that writes such, to be kept.
    """

    bits: int
    encode_seconds: float
    decode_seconds: float
    bsc: bytes | None = None


class Peer(Protocol):
    """A codec at one bitrate.

    Attributes:
        name: of the system in tables.
        setting: what its result depends on, such as its version.

    Raises:
        UnavailableError: its program, package or weights cannot be had.
    """

    name: str
    setting: str

    def code(self, audio: np.ndarray, sampling_rate: int, target: Path) -> CodedClip:
        """Encode and decode (T,) float32, and write the WAV file ``target`` of as many samples.

        Raises:
            ScoringError, OSError: the codec fails on this utterance.
        """
        ...
