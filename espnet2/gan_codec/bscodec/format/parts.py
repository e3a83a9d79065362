"""The streams that lie one after the other in a file, of which decoders read only the first."""

import os
from dataclasses import dataclass

from espnet2.gan_codec.bscodec.format.files import FileBytes
from espnet2.gan_codec.bscodec.format.mpeg import scan_mpeg
from espnet2.gan_codec.bscodec.format.ogg import scan_ogg

_FLAC = b"fLaC"


@dataclass(frozen=True)
class Part:
    """One of the streams of a file.

    Attributes:
        start, end: its bytes in the file.
        problem: what is wrong with it; "" for nothing.
        prefix: bytes to read before it.
    """

    start: int
    end: int
    problem: str = ""
    prefix: bytes = b""


def find_parts(path: str, container: str) -> list[Part]:
    """Return the streams of a file in their order, at least one.

    Args:
        path: of the file.
        container: as the decoder calls it.

    Raises:
        OSError: the file cannot be read.
    """
    parts: list[Part] = []
    if container.upper() == "OGG":
        parts = [Part(link.start, link.end, link.problem) for link in scan_ogg(path)]
    elif container == "MP3":
        parts = [
            Part(stream.start, stream.end, stream.problem, stream.xing_header())
            for stream in scan_mpeg(path)
        ]
    elif container == "FLAC":
        parts = _flac(path)
    return parts or [Part(0, os.path.getsize(path))]


def _flac(path: str) -> list[Part]:
    """Look for a second header: FLAC does not say how many bytes a stream has."""
    with open(path, "rb") as file:
        data = FileBytes(file)
        starts, position = [], data.find(_FLAC)
        while position >= 0:
            # Next comes the block of stream facts, of type 0, perhaps the last, and 34 bytes.
            if data[position + 4 : position + 8] in (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22"):
                starts.append(position)
            position = data.find(_FLAC, position + 4)
        ends = [*starts[1:], len(data)] if starts else []
        return [Part(start, end) for start, end in zip(starts, ends, strict=True)]
