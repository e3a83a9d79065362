"""The frames of an MP3 file: where its streams begin and end, and whether they are whole."""

from dataclasses import dataclass

from espnet2.gan_codec.bscodec.format.files import FileBytes

_BITRATES = {  # kbit/s by the header's index from 1 on
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_BITRATES[2, 3] = _BITRATES[2, 2]
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_RESYNC_FRAMES = 3  # headers one after the other that are believed


@dataclass
class MpegStream:
    """One stream of a file; several lie one after the other in it if they were joined.

    Attributes:
        start, end: its bytes in the file, tags left out.
        head: the first four bytes of its first frame.
        num_frames, num_samples: a Xing header not counted.
        problem: what is wrong at its end; "" for nothing.
        promised_frames: as its Xing header says; None where there is none.
    """

    start: int
    end: int
    head: bytes
    num_frames: int = 0
    num_samples: int = 0
    problem: str = ""
    promised_frames: int | None = None

    def xing_header(self) -> bytes:
        """Return a frame to put before a stream that has none: without it decoders guess length.

        libmpg123 takes the first frame's bit rate for that of all, and reads no more than it
        makes of that.
        """
        if self.promised_frames is not None or self.head[1] >> 1 & 3 != 1:  # layer III has it
            return b""
        # The largest bit rate, no checksum, no padding.
        head = bytes([0xFF, self.head[1] | 1, 0xE0 | self.head[2] & 0x0D, self.head[3]])
        frame = _parse(head)
        assert frame is not None
        body = b"Xing" + (1).to_bytes(4, "big") + self.num_frames.to_bytes(4, "big")
        return (head + bytes(frame.side_info) + body).ljust(frame.size, b"\0")


@dataclass(frozen=True)
class _Frame:
    size: int
    samples: int
    kind: tuple[int, int, int]  # what does not change within a stream
    side_info: int  # bytes before a Xing header


def scan_mpeg(path: str) -> list[MpegStream]:
    """Return the streams of an MPEG audio file; empty where its frames are not understood.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return _streams(FileBytes(file))


def _streams(data: FileBytes) -> list[MpegStream]:
    streams: list[MpegStream] = []
    kind, begins, position = None, True, 0
    while position < len(data):
        frame = _frame_at(data, position)
        if frame is not None and kind in (None, frame.kind):
            xing = _xing_frames(data, position, frame)
            if begins or xing is not None:
                head = data[position : position + 4]
                streams.append(MpegStream(position, position, head, promised_frames=xing))
            kind, begins, stream = frame.kind, False, streams[-1]
            stream.end = min(position + frame.size, len(data))
            if position + frame.size > len(data):
                stream.problem = "cut short: its last MP3 frame is not complete"
            elif xing is None:
                stream.num_frames += 1
                stream.num_samples += frame.samples
            position += frame.size
        elif tag_size := _tag_size(data, position):
            if data[position : position + 3] == b"ID3":
                kind, begins = None, True
            position += tag_size
        else:
            resumed = _resync(data, position + 1, kind)
            if resumed is None and kind is not None:  # perhaps with a stream of another kind
                resumed, kind = _resync(data, position, None), None
            elif resumed is not None and streams and kind is not None:
                second = sum(s.num_samples for s in streams) / _RATES[kind[0]][kind[2]]
                streams[-1].problem = f"damaged at {second:.2f} s"
            if resumed is None:
                break
            position, begins = resumed, True
    for stream in streams:
        promised = stream.promised_frames
        if promised is not None and stream.num_frames < promised and not stream.problem:
            stream.problem = f"cut short: {stream.num_frames} of {promised} MP3 frames are there"
    return streams


def _frame_at(data: FileBytes, position: int) -> _Frame | None:
    return _parse(data[position : position + 4])


def _parse(head: bytes) -> _Frame | None:
    """Read the header of a frame, 4 bytes; None: it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    # A bit rate of index 0 is a "free" one, of which the size of frames is not known.
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate_index == 3:
        return None
    low = version != 3
    rate = _RATES[version][rate_index]
    bits = 1000 * _BITRATES[2 if low else 1, layer][bitrate - 1]
    if layer == 1:
        size, samples = 4 * (12 * bits // rate + padding), 384
    else:
        samples = 576 if low and layer == 3 else 1152
        size = samples // 8 * bits // rate + padding
    mono = head[3] >> 6 == 3
    side_info = (9 if mono else 17) if low else (17 if mono else 32)
    return _Frame(size, samples, (version, layer, rate_index), side_info)


def _xing_frames(data: FileBytes, position: int, frame: _Frame) -> int | None:
    """Return the count of frames in a Xing (or Info) header; None for an ordinary frame."""
    start = position + 4 + frame.side_info
    head = data[start : start + 12]
    if len(head) == 12 and head[:4] in (b"Xing", b"Info") and head[7] & 1:
        return int.from_bytes(head[8:12], "big")
    return None


def id3_size(head: bytes) -> int:
    """Return the size of the ID3v2 tag that begins with ``head``, 10 bytes or more; 0: none."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 16 else 0)


def _tag_size(data: FileBytes, position: int) -> int:
    """Return the size of a tag (ID3, APE) at a position, or 0."""
    head = data[position : position + 32]
    if head[:3] == b"ID3":
        return id3_size(head)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return int.from_bytes(head[12:16], "little") + 32
    return 0


def _resync(data: FileBytes, position: int, kind: tuple[int, int, int] | None) -> int | None:
    """Return where frames go on, of one kind if that is given; None: nowhere."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0:
            return None
        place, wanted = position, kind
        for _ in range(_RESYNC_FRAMES):
            frame = _frame_at(data, place)
            if frame is None or wanted not in (None, frame.kind):
                break
            place, wanted = place + frame.size, frame.kind
        else:
            return position
        position += 1
