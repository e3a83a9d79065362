"""Files as they are opened here: regular ones, and parts of them as files of their own."""

import errno
import io
import os
import stat
from typing import BinaryIO

_WINDOW_BYTES = 1 << 16


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


def file_version(path: str | os.PathLike) -> tuple[int, int, int]:
    """Return what is another once a file has been written to or replaced. Raises OSError."""
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


class FileBytes:
    """The bytes of an open file, as of ``mmap``, but read.

    A mapping of a file that shrinks ends the process; here there are fewer bytes then.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file.fileno()
        self._size = os.fstat(self._file).st_size
        self._start, self._window = 0, b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        start, stop, _ = span.indices(self._size)
        if not self._start <= start <= stop <= self._start + len(self._window):
            self._window = os.pread(self._file, max(stop - start, _WINDOW_BYTES), start)
            self._start = start
        return self._window[start - self._start : stop - self._start]

    def find(self, wanted: bytes, start: int = 0) -> int:
        """Return where ``wanted`` is from ``start`` on, or -1."""
        while len(self[start : start + len(wanted)]) == len(wanted):
            found = self._window.find(wanted, start - self._start)
            if found >= 0:
                return self._start + found
            start = self._start + len(self._window) - len(wanted) + 1
        return -1


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
