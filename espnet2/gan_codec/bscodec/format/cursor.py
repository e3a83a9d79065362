"""A walk through the bytes of a header, and the integers of variable length in it."""


class Damage(Exception):
    """Bytes that no writer makes."""


class Cursor:
    """Walk through bytes that may end too early (EOFError)."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        chunk = self.data[self.position : self.position + size]
        if len(chunk) < size:
            raise EOFError
        self.position += size
        return chunk

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]

    def varint(self) -> int:
        """Seven bits a byte, low ones first; the high bit says that more follow."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Damage


def pack_varint(value: int) -> bytes:
    """Return the bytes that ``Cursor.varint`` reads."""
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
