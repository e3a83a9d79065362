"""What decodes a file: libsndfile, or ffmpeg where that does not know the file."""

import os
from typing import Protocol

import numpy as np
import soundfile

from espnet2.gan_codec.bscodec.format.audio_error import DecoderError
from espnet2.gan_codec.bscodec.format.chatter import quiet_libraries, quiet_output
from espnet2.gan_codec.bscodec.format.ffmpeg import FfmpegDecoder
from espnet2.gan_codec.bscodec.format.files import Window
from espnet2.gan_codec.bscodec.format.parts import Part
from espnet2.gan_codec.bscodec.format.sniff import foreign_kind, what_else

_UNKNOWN_LENGTH = 2**62


class Decoder(Protocol):
    """An open file that gives samples.

    Attributes:
        sampling_rate: in Hz.
        num_channels: 1 or more.
        num_samples: per channel as the file's header says, or None where it does not.
        container: the kind of file, as the decoder calls it.
    """

    @property
    def sampling_rate(self) -> int: ...  # noqa: D102
    @property
    def num_channels(self) -> int: ...  # noqa: D102
    @property
    def num_samples(self) -> int | None: ...  # noqa: D102
    @property
    def container(self) -> str: ...  # noqa: D102

    def read(self, num_frames: int) -> np.ndarray:
        """Return the next (n, num_channels) float32 samples; n = 0 at the end only.

        Raises:
            DecoderError: damaged or missing data.
        """
        ...

    def message(self, at_end: bool = False) -> str:
        """Return what was found wrong so far without an error, or ""."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_decoder(path: str) -> Decoder:
    """Open a file with the decoder that knows it.

    Raises:
        DecoderError: none does.
        OSError: the file cannot be read.
    """
    try:
        return SoundFileDecoder(path)
    except DecoderError as error:
        kind = foreign_kind(path)
        if kind is None:
            other = what_else(path)
            if other:
                raise DecoderError(f"not readable as audio: this is {other}") from error
            raise
        try:
            return FfmpegDecoder(path, kind)
        except DecoderError as foreign:
            raise DecoderError(f"not readable as audio: {foreign}") from error


class _Unseekable(soundfile.SoundFile):
    """A file that is read from its start to its end.

    soundfile would seek after each block, which fails in FLAC files of unknown length.
    """

    def seekable(self) -> bool:
        return False


class SoundFileDecoder:
    """A file, or a part of it, that libsndfile reads; attributes as of ``Decoder``.

    Raises:
        DecoderError: libsndfile does not know it.
    """

    def __init__(self, path: str, part: Part | None = None) -> None:
        self._window = Window(path, part.start, part.end, part.prefix) if part else None
        try:
            with open(path, "rb") as file:
                is_sds = file.read(2) == b"\xf0\x7e"
            with quiet_libraries(), quiet_output(is_sds):
                self._file = _Unseekable(self._window or sound_file_name(path), "r")
        except (soundfile.SoundFileError, TypeError) as error:
            if self._window:
                self._window.close()
            reason = str(error).rpartition(": ")[2].strip().rstrip(".")
            if reason in ("", "None"):
                reason = "libsndfile does not say why"
            raise DecoderError(f"not readable as audio: {reason}") from error
        self.sampling_rate: int = self._file.samplerate
        self.num_channels: int = self._file.channels
        self.container: str = self._file.format
        self.subtype: str = self._file.subtype
        known = self._file.frames < _UNKNOWN_LENGTH
        self.num_samples: int | None = self._file.frames if known else None

    def read(self, num_frames: int) -> np.ndarray:
        """Return the next (n, num_channels) float32 samples, as of ``Decoder``."""
        try:
            with quiet_libraries(self.container == "MP3"), quiet_output(self.container == "SDS"):
                return self._file.read(num_frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise DecoderError("damaged or cut short") from error

    def message(self, at_end: bool = False) -> str:
        """Return "": libsndfile raises errors or says nothing."""
        return ""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._window:
            self._window.close()


def sound_file_name(path: str | os.PathLike) -> str | bytes:
    """Return a file's name as soundfile takes it: also one that is no Unicode (not on Windows)."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)
