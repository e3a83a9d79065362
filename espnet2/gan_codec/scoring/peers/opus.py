"""Opus, by the programs opusenc and opusdec of opus-tools."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError
from espnet2.gan_codec.scoring.peers.peer import CodedClip

PROGRAMS = ("opusenc", "opusdec")
RATES = (6, 256)  # kbit/s of one channel that opusenc takes
_PAGE_HEAD = 27  # bytes of an Ogg page before the sizes of its segments
_HEADER_PACKETS = 2  # OpusHead and OpusTags


class Opus:
    """Opus at about ``kbps`` kbit/s: variable bitrate and the tools' other defaults.

    Raises:
        UnavailableError: opus-tools is not installed.
        ScoringError: a bitrate that Opus does not have.
    """

    def __init__(self, kbps: float) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise UnavailableError(f"opus needs the program {missing[0]}: install opus-tools")
        if not RATES[0] <= kbps <= RATES[1]:
            raise ScoringError(f"--peer opus:{kbps:g}: expected {RATES[0]} to {RATES[1]} kbit/s")
        self._kbps = kbps
        self.name = f"opus-{kbps:g}k"
        version = _run([PROGRAMS[0], "--version"]).splitlines()
        self.setting = version[0] if version else PROGRAMS[0]

    def code(self, audio: np.ndarray, sampling_rate: int, target: Path) -> CodedClip:
        """As ``Peer.code``; the times include the start of the programs."""
        with tempfile.TemporaryDirectory() as folder:
            original, coded = Path(folder, "original.wav"), Path(folder, "coded.opus")
            decoded = Path(folder, "decoded.wav")
            soundfile.write(original, audio, sampling_rate)
            begin = time.perf_counter()
            options = ["--quiet", "--discard-comments", "--bitrate", f"{self._kbps:g}"]
            _run([PROGRAMS[0], *options, str(original), str(coded)])
            between = time.perf_counter()
            options = ["--quiet", "--rate", str(sampling_rate)]
            _run([PROGRAMS[1], *options, str(coded), str(decoded)])
            end = time.perf_counter()
            samples, _ = soundfile.read(decoded, dtype="float32", always_2d=True)
            soundfile.write(target, samples[: len(audio), 0], sampling_rate, format="WAV")
            bits = 8 * sum(list(packet_sizes(coded.read_bytes()))[_HEADER_PACKETS:])
        return CodedClip(bits, between - begin, end - between)


def packet_sizes(ogg: bytes) -> Iterator[int]:
    """Yield the bytes of each packet in an Ogg file (RFC 3533), in order."""
    place = size = 0
    while ogg[place : place + 4] == b"OggS":
        count = ogg[place + _PAGE_HEAD - 1]
        segments = ogg[place + _PAGE_HEAD : place + _PAGE_HEAD + count]
        for segment in segments:
            size += segment
            if segment < 255:  # a full segment says that the packet goes on
                yield size
                size = 0
        place += _PAGE_HEAD + count + sum(segments)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ScoringError(f"{command[0]} failed: {said[-1] if said else done.returncode}")
    return done.stdout
