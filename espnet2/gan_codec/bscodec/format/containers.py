"""What the header of an audio file promises, against the bytes that are there.

libsndfile reads most cut files as far as they go without a word, so the headers are read here
once more. The keys of ``AUDIO_ENDS`` are the decoders' names of formats. Ogg and MP3, which have
no such header, are in ``ogg.py`` and ``mpeg.py``; FLAC, and most of what ffmpeg reads, is checked
by its decoder, HTK by libsndfile.
"""

import os
import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

# What programs put into a size that they do not know, as they write to a pipe, is this or more.
_STREAMED = 0x7F000000
_STREAMED_64 = 2**62
_MOST_CHUNKS = 10000  # of a file that is made of nothing but empty chunks


class Extent(NamedTuple):
    """Bytes of audio of a file: what its header promises, and what is there."""

    promised: int
    present: int


class Layout(NamedTuple):
    """What is known of an open file before its header is read.

    Attributes:
        size: of the file, in bytes.
        frame_bytes: of one sample of all channels; 0 where that is no whole number.
    """

    size: int
    frame_bytes: int


_Span = tuple[int, int] | None  # where audio begins and should end; None: the header does not say


def audio_extent(path: str, kind: str, channels: int, subtype: str) -> Extent | None:
    """Return promised and present bytes of audio; None where the header does not say.

    Args:
        path: of a file.
        kind: as the decoder names it.
        channels, subtype: as soundfile names them.

    Raises:
        OSError: the file cannot be read.
    """
    function = AUDIO_ENDS.get(kind)
    if function is None:
        return None
    frame_bytes = _SAMPLE_BYTES.get(subtype, 0) * channels
    with open(path, "rb") as file:
        layout = Layout(os.path.getsize(path), frame_bytes)
        try:
            span = function(file, layout)
        except (
            struct.error,
            ValueError,
            ArithmeticError,
            LookupError,
        ):  # not as we know it: libsndfile has the last word
            return None
    if span is None:
        return None
    start, end = span
    return Extent(end - start, max(0, min(end, layout.size) - start))


def _unpack(file: BinaryIO, offset: int, form: str) -> tuple:
    if not 0 <= offset < _STREAMED_64:
        raise ValueError("no place in a file")
    file.seek(offset)
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _chunks(
    file: BinaryIO, start: int, size: int, form: str, align: int, own: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and size of chunks; ``own``: bytes of its header that a size counts."""
    header = struct.calcsize(form)
    for _ in range(_MOST_CHUNKS):
        if start + header > size:
            return
        name, length = _unpack(file, start, form)
        yield name, start + header, length - own
        start += header + length - own
        start += -start % align


def _riff(file: BinaryIO, layout: Layout) -> _Span:
    (magic,) = _unpack(file, 0, "4s")
    form = ">4sI" if magic == b"RIFX" else "<4sI"
    long_size = None
    for name, start, length in _chunks(file, 12, layout.size, form, 2):
        if name == b"ds64":
            _, long_size = _unpack(file, start, "<QQ")
        if name == b"data":
            if length == 0xFFFFFFFF and long_size:
                return None if long_size >= _STREAMED_64 else (start, start + long_size)
            return (start, start + length) if 0 < length < _STREAMED or long_size else None
    return None


def _w64(file: BinaryIO, layout: Layout) -> _Span:
    for name, start, length in _chunks(file, 40, layout.size, "<16sQ", 8, own=24):
        if name[:4] == b"data":
            return (start, start + length) if 0 < length < _STREAMED_64 else None
    return None


def _iff(file: BinaryIO, layout: Layout) -> _Span:
    for name, start, length in _chunks(file, 12, layout.size, ">4sI", 2):
        if name in (b"SSND", b"BODY"):
            return (start, start + length) if 0 < length < _STREAMED else None
    return None


def _caf(file: BinaryIO, layout: Layout) -> _Span:
    for name, start, length in _chunks(file, 8, layout.size, ">4sq", 1):
        if length < 0:
            return None
        if name == b"data":
            return start, start + length
    return None


def _au(file: BinaryIO, layout: Layout) -> _Span:
    (magic,) = _unpack(file, 0, "4s")
    start, length = _unpack(file, 4, ">II" if magic == b".snd" else "<II")
    return (start, start + length) if 0 < length < _STREAMED else None


def _nist(file: BinaryIO, layout: Layout) -> _Span:
    file.seek(0)
    text = file.read(4096).decode("latin-1")
    start = int(text.split()[1])
    fields = dict(re.findall(r"^(\w+) -i (\d+)", text[:start], re.MULTILINE))
    try:
        length = int(fields["sample_count"]) * int(fields["sample_n_bytes"])
    except KeyError:
        return None
    return start, start + length * int(fields.get("channel_count", 1))


def _voc(file: BinaryIO, layout: Layout) -> _Span:
    (position,) = _unpack(file, 20, "<H")
    for _ in range(_MOST_CHUNKS):
        kind, *sizes = _unpack(file, position, "4B")
        start, position = position + 4, position + 4 + int.from_bytes(bytes(sizes), "little")
        if kind in (1, 9):  # sound; libsndfile reads one such block
            return start, position
    return None


def _mov(file: BinaryIO, layout: Layout) -> _Span:
    position = 0
    for _ in range(_MOST_CHUNKS):
        if position + 16 > layout.size:
            break
        length, _, long_length = _unpack(file, position, ">I4sQ")
        if length == 0:  # to the end of the file
            return None
        position += long_length if length == 1 else length
    return (0, position) if position > layout.size else None


def _matroska(file: BinaryIO, layout: Layout) -> _Span:
    position = 0
    for _ in range(_MOST_CHUNKS):
        if position >= layout.size:
            break
        name, position = _vint(file, position, keep_marker=True)
        length, position = _vint(file, position)
        if length < 0:  # unknown: written to a pipe
            return None
        if name == 0x18538067:  # the segment, which holds all but a header
            return position, position + length
        position += length
    return None


def _vint(file: BinaryIO, position: int, keep_marker: bool = False) -> tuple[int, int]:
    """Return one of Matroska's numbers, -1 if all its bits are set, and where it ends."""
    (first,) = _unpack(file, position, "B")
    num_bytes = 9 - first.bit_length()
    if num_bytes == 9:
        raise ValueError("no such number")
    file.seek(position)
    value = int.from_bytes(file.read(num_bytes), "big")
    if not keep_marker:
        value &= (1 << 7 * num_bytes) - 1
        value = -1 if value == (1 << 7 * num_bytes) - 1 else value
    return value, position + num_bytes


def _asf(file: BinaryIO, layout: Layout) -> _Span:
    position = 0
    while position + 24 <= layout.size:
        name, length = _unpack(file, position, "<16sQ")
        if name[:4] == b"\x36\x26\xb2\x75":  # the object that holds the packets
            return (position, position + length) if length >= 50 else None
        if length < 24:
            break
        position += length
    return None


def _tta(file: BinaryIO, layout: Layout) -> _Span:
    rate, samples = _unpack(file, 10, "<2I")
    frame = rate * 256 // 245
    num_frames = -(-samples // frame) if frame else 0
    if 4 * num_frames > layout.size:
        return None
    sizes = _unpack(file, 22, f"<{num_frames}I")
    start = 22 + 4 * num_frames + 4
    return start, start + sum(sizes)


def _avr(file: BinaryIO, layout: Layout) -> _Span:
    (frames,) = _unpack(file, 26, ">I")
    return 128, 128 + frames * layout.frame_bytes


def _mpc2k(file: BinaryIO, layout: Layout) -> _Span:
    (frames,) = _unpack(file, 30, "<I")
    return 42, 42 + frames * layout.frame_bytes


def _wve(file: BinaryIO, layout: Layout) -> _Span:
    (length,) = _unpack(file, 18, ">I")
    return 32, 32 + length


def _xi(file: BinaryIO, layout: Layout) -> _Span:
    (length,) = _unpack(file, 298, "<I")
    return (338, 338 + length) if length else None


def _sds(file: BinaryIO, layout: Layout) -> _Span:
    bits, low, middle, high = _unpack(file, 6, "B3x3B")
    samples = low | middle << 7 | high << 14
    per_packet = 120 // -(-bits // 7)
    return 21, 21 + 127 * -(-samples // per_packet)


def _mat4(file: BinaryIO, layout: Layout) -> _Span:
    (kind,) = _unpack(file, 0, "<I")
    order = "<" if kind < 100 else ">"
    position, span = 0, None
    for _ in range(2):  # the sampling rate, and the samples
        kind, rows, columns, _, name = _unpack(file, position, f"{order}5I")
        start = position + 20 + name
        position = start + rows * columns * (8, 4, 4, 2, 2, 1)[kind // 10 % 10]
        span = start, position
    return span


def _mat5(file: BinaryIO, layout: Layout) -> _Span:
    (mark,) = _unpack(file, 126, "2s")
    form = "<2I" if mark == b"IM" else ">2I"
    position, span = 128, None
    while position + 8 <= layout.size:
        kind, length = _unpack(file, position, form)
        position += 8
        if kind >> 16 or kind == 14:  # a small element, or a matrix, whose own elements follow:
            continue  # libsndfile writes a wrong size there
        span = position, position + length
        position += length + -length % 8
    return span


def _whole_frames(start: int) -> Callable[[BinaryIO, Layout], _Span]:
    """Of a header of ``start`` bytes that says no length: it can end within a sample only."""

    def span(file: BinaryIO, layout: Layout) -> _Span:
        if not layout.frame_bytes:
            return None
        return start, layout.size + (start - layout.size) % layout.frame_bytes

    return span


def _paf(file: BinaryIO, layout: Layout) -> _Span:
    (magic,) = _unpack(file, 0, "4s")
    form, channels = _unpack(file, 16, ">2I" if magic == b" paf" else "<2I")
    # 24-bit samples come in blocks of ten, in 32 bytes a channel.
    unit = 32 * channels if form == 1 else layout.frame_bytes
    return _whole_frames(2048)(file, layout._replace(frame_bytes=unit))


def _pvf(file: BinaryIO, layout: Layout) -> _Span:
    file.seek(0)
    start = len(file.readline(64)) + len(file.readline(64))
    return _whole_frames(start)(file, layout)


_SAMPLE_BYTES = {
    **{"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "DPCM_8": 1},
    **{"PCM_16": 2, "DPCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8},
}
AUDIO_ENDS: dict[str, Callable[[BinaryIO, Layout], _Span]] = {
    **{"WAV": _riff, "WAVEX": _riff, "RF64": _riff, "W64": _w64},
    **{"AIFF": _iff, "SVX": _iff, "CAF": _caf, "AU": _au, "NIST": _nist, "VOC": _voc},
    **{"AVR": _avr, "MPC2K": _mpc2k, "WVE": _wve, "XI": _xi, "SDS": _sds},
    **{"MAT4": _mat4, "MAT5": _mat5, "PAF": _paf, "PVF": _pvf},
    **{"IRCAM": _whole_frames(1024), "SD2": _whole_frames(0)},
    # What ffmpeg reads.
    **{"mov": _mov, "matroska": _matroska, "asf": _asf, "tta": _tta},
    **{"wav": _riff, "avi": _riff, "aiff": _iff, "caf": _caf},
}
