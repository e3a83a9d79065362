"""The pages of an Ogg file: where its streams begin and end, and whether they are whole."""

from dataclasses import dataclass, field

from espnet2.gan_codec.bscodec.format.files import FileBytes

_HEADER_BYTES = 27
_FIRST, _LAST = 2, 4  # flags of a page


@dataclass
class OggChain:
    """One link of a chain: streams that begin together.

    Attributes:
        start, end: its bytes in the file.
        open_streams: serial numbers of streams whose last page has not come.
        problem: what is wrong with it; "" for nothing.
    """

    start: int
    end: int
    open_streams: set[bytes] = field(default_factory=set)
    problem: str = ""


def scan_ogg(path: str) -> list[OggChain]:
    """Return the links of an Ogg file, in their order; empty for a file without pages.

    Pages' checksums are not computed; the decoder does that.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return _links(FileBytes(file))


def _links(data: FileBytes) -> list[OggChain]:
    links: list[OggChain] = []
    numbers: dict[bytes, int] = {}
    size, position, beginning = len(data), 0, False
    while position < size:
        if data[position : position + 4] != b"OggS":
            found = data.find(b"OggS", position)
            if links and (found >= 0 or not _is_padding(data, position)):
                # No trailing tags are known for Ogg: what is no page was one.
                links[-1].problem = links[-1].problem or "damaged: bytes that are no Ogg page"
            if found < 0:
                break
            position = found
        header = data[position : position + _HEADER_BYTES]
        num_segments = header[26] if len(header) == _HEADER_BYTES else 0
        sizes = data[position + _HEADER_BYTES : position + _HEADER_BYTES + num_segments]
        end = position + _HEADER_BYTES + num_segments + sum(sizes)
        if len(header) < _HEADER_BYTES or len(sizes) < num_segments or end > size:
            if links:
                links[-1].problem = "cut short: its last Ogg page is not complete"
            break
        flags, serial, number = header[5], header[14:18], int.from_bytes(header[18:22], "little")
        if flags & _FIRST:
            if not beginning:
                links.append(OggChain(position, end))
            links[-1].open_streams.add(serial)
        beginning = bool(flags & _FIRST)
        if links:
            link = links[-1]
            if not flags & _FIRST and number != numbers.get(serial, number - 1) + 1:
                link.problem = link.problem or "damaged: Ogg pages are missing"
            numbers[serial] = number
            link.end = end
            if flags & _LAST:
                link.open_streams.discard(serial)
        position = end
    for link in links:
        if link.open_streams and not link.problem:
            link.problem = "cut short: its last Ogg page is missing"
    return links


def _is_padding(data: FileBytes, position: int) -> bool:
    return not any(data[position : position + 65536])
