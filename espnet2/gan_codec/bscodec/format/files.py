"""Files as they are opened here: regular ones, and parts of them as files of their own."""

import errno
import io
import os
import stat


def require_regular(path: str | os.PathLike) -> None:
    """Raise an OSError for what is no regular file: opening a named pipe waits for a writer.

    Raises:
        OSError: there is no such file, or it is a folder, a pipe, a socket or a device.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is a pipe or device, not a regular file", os.fspath(path))


class Window(io.RawIOBase):
    """``prefix``, and then the bytes of a file from ``start`` to before ``end``; for reading.

    Raises:
        OSError: the file cannot be opened.
    """

    mode = "rb"  # soundfile asks for it

    def __init__(self, path: str, start: int, end: int, prefix: bytes = b"") -> None:
        self._file = open(path, "rb")
        self._start, self._prefix = start, prefix
        self._length = len(prefix) + end - start
        self._position = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether there is random access: yes."""
        return True

    def tell(self) -> int:
        """Return the position, counted from the window's start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as files do and return the position; what is before the start becomes the start."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer) -> int:
        """Fill ``buffer`` as far as the window goes; return the number of bytes."""
        view = memoryview(buffer).cast("B")
        num_bytes = max(0, min(len(view), self._length - self._position))
        data = self._prefix[self._position : self._position + num_bytes]
        if len(data) < num_bytes:
            after = self._position + len(data) - len(self._prefix)
            self._file.seek(self._start + after)
            data += self._file.read(num_bytes - len(data))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()
        super().close()
