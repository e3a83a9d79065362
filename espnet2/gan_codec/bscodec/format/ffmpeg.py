"""Audio that libsndfile does not read (AAC, Opus in WebM, Windows Media), through ffmpeg."""

import os
import re
import shutil
import struct
import subprocess
import tempfile

import numpy as np

from espnet2.gan_codec.bscodec.format.audio_error import DecoderError
from espnet2.gan_codec.bscodec.format.sniff import Foreign

SUFFIXES = frozenset(
    ".3gp .aac .ac3 .amr .ape .dsf .m4a .m4b .mka .mp4 .spx .tta .webm .wma .wv".split()
)
_AU_HEADER = ">4s5I"
_NO_STREAM = "matches no streams"


class FfmpegDecoder:
    """The first audio track of a file, decoded by an ffmpeg process as it is read.

    Attributes:
        sampling_rate: in Hz.
        num_channels: 1 or more.
        num_samples: None: most of these files do not say it to the sample.
        container: what ffmpeg calls the kind of file.

    Raises:
        DecoderError: ffmpeg is missing, or reads no audio from the file.
    """

    num_samples = None

    def __init__(self, path: str, kind: Foreign) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise DecoderError(
                f"{kind.name} is read through ffmpeg, which is not installed "
                "(Debian, Ubuntu: apt-get install ffmpeg)"
            )
        self.container = kind.demuxer
        self._input = f"-protocol_whitelist file,pipe -f {kind.demuxer} -i".split()
        # "file:": a name may begin with "-" or look like an address.
        self._input.append("file:" + os.fspath(path))
        self._log = tempfile.TemporaryFile()
        output = "-map 0:a:0 -c:a pcm_f32be -f au pipe:1".split()
        self._process = subprocess.Popen(
            [program, "-nostdin", "-v", "error", *self._input, *output],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        try:
            header = self._pipe.read(struct.calcsize(_AU_HEADER))
            if len(header) < struct.calcsize(_AU_HEADER):
                raise DecoderError(self.message(at_end=True) or "ffmpeg finds no audio in it")
            _, start, _, _, self.sampling_rate, self.num_channels = struct.unpack(
                _AU_HEADER, header
            )
            self._pipe.read(start - len(header))
        except BaseException:
            self.close()
            raise

    def read(self, num_frames: int) -> np.ndarray:
        """Return the next (n, num_channels) float32 samples, n <= num_frames; n = 0 at the end."""
        frame_bytes = 4 * self.num_channels
        data = self._pipe.read(num_frames * frame_bytes)
        samples = np.frombuffer(data[: len(data) // frame_bytes * frame_bytes], ">f4")
        return samples.astype(np.float32).reshape(-1, self.num_channels)

    def message(self, at_end: bool = False) -> str:
        """Return what ffmpeg found wrong so far, "" for nothing; waits for it ``at_end``."""
        if at_end:
            self._process.wait()
        self._log.seek(0)
        lines = self._log.read(4096).decode(errors="replace").splitlines()
        lines = [re.sub(r"^(\[.*? @ 0x\w+\] ?)+", "", line).strip() for line in lines]
        if any(_NO_STREAM in line for line in lines):
            return "ffmpeg finds no audio in it"
        line = next(filter(None, lines), "")
        if not line and at_end and self._process.returncode:
            line = f"nothing, and ends with status {self._process.returncode}"
        return f"ffmpeg says: {line}" if line else ""

    def duration(self) -> float:
        """Return what the file says of its length, in seconds; 0 where that is not known."""
        command = ["ffprobe", "-v", "quiet", *self._input, "-of", "csv=p=0"]
        try:
            said = subprocess.run(
                [*command, "-show_entries", "format=duration"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
            )
            return float(said.stdout)
        except (OSError, subprocess.CalledProcessError, ValueError):
            return 0.0

    def close(self) -> None:
        """Stop ffmpeg."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._log.close()
