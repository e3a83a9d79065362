"""What a file is by its first bytes, where libsndfile does not know it."""

from typing import NamedTuple

from espnet2.gan_codec.bscodec.format.mpeg import id3_size


class Foreign(NamedTuple):
    """A kind of file that ffmpeg reads.

    Attributes:
        demuxer: as ffmpeg calls it.
        name: for people.
    """

    demuxer: str
    name: str


_EBML, _ASF = b"\x1aE\xdf\xa3", bytes.fromhex("3026b2758e66cf11")
_FOREIGN = [
    *((4, magic, "mov", "MPEG-4") for magic in (b"ftyp", b"moov", b"mdat", b"wide", b"skip")),
    (0, _EBML, "matroska", "WebM or Matroska"),
    (0, _ASF, "asf", "Windows Media"),
    (0, b"OggS", "ogg", "Ogg"),
    (8, b"AVI ", "avi", "AVI"),
    (0, b"RIFF", "wav", "WAV"),
    (0, b"BW64", "wav", "BW64"),
    (0, b"FORM", "aiff", "AIFF"),
    (0, b"caff", "caf", "CAF"),
    (0, b"#!AMR", "amr", "AMR"),
    (0, b"wvpk", "wv", "WavPack"),
    (0, b"MAC ", "ape", "Monkey's Audio"),
    (0, b"TTA1", "tta", "True Audio"),
    (0, b"DSD ", "dsf", "DSD"),
    (0, b"\x0bw", "ac3", "AC-3"),
]
_OTHERS = {
    b"%!PS": "a PostScript file",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"\x7fELF": "a program",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
    b"BSC": "a .bsc file",
}


def foreign_kind(path: str) -> Foreign | None:
    """Return how ffmpeg is to read a file; None where it is nothing known.

    The kind is told to ffmpeg, which would else follow play lists to other files.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        tag = id3_size(head)  # before AAC
        if tag:
            file.seek(tag)
            head = file.read(16)
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Foreign("aac", "AAC")
    for offset, magic, demuxer, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return Foreign(demuxer, name)
    return None


def what_else(path: str) -> str | None:
    """Return what a file is that is no audio, or None.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)
