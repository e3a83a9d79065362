"""What C libraries write to the standard output and error of the process, kept from them.

libmpg123 within libsndfile prints warnings on standard error, and libsndfile's reader of SDS files
prints on standard output; neither can be turned off from outside.
"""

import contextlib
import ctypes
import os
import re
import tempfile
import threading
from collections.abc import Iterator

_CHATTER = re.compile(rb"\[?[\w./]*libmpg123|(Note|Warning): [A-Z]|Error \w : |\n$")


class _Aside:
    """A file descriptor, turned aside into a file while there is anyone inside."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: int | None = None  # where it goes else
        self._caught = -1
        self._read = 0  # bytes of what was caught that have been looked at

    def enter(self) -> None:
        """Turn it aside, if it is not yet."""
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            try:
                self._saved = os.dup(self._descriptor)
            except OSError:  # it is closed
                return
            if self._caught < 0:
                with tempfile.NamedTemporaryFile() as file:
                    self._caught = os.open(file.name, os.O_RDWR | os.O_APPEND)
            os.dup2(self._caught, self._descriptor)

    def leave(self) -> None:
        """Pass on what is no chatter, and turn it back if nobody else is inside."""
        with self._lock:
            self._inside -= 1
            if self._saved is None:
                return
            if self._inside == 0:
                os.dup2(self._saved, self._descriptor)
            others = self._others()
            if others:
                with contextlib.suppress(OSError):
                    os.write(self._saved, others)
            if self._inside == 0:
                os.close(self._saved)
                self._saved, self._read = None, 0
                os.ftruncate(self._caught, 0)

    def _others(self) -> bytes:
        text = os.pread(self._caught, os.fstat(self._caught).st_size - self._read, self._read)
        if self._inside:  # another thread may be in the midst of a line
            text = text[: text.rfind(b"\n") + 1]
        self._read += len(text)
        return b"".join(
            line for line in text.splitlines(keepends=True) if not _CHATTER.match(line)
        )


_output, _error = _Aside(1), _Aside(2)


@contextlib.contextmanager
def quiet_libraries(needed: bool = True) -> Iterator[None]:
    """Keep lines of libmpg123 from standard error within the block, if that is ``needed``.

    Threads may be in it at the same time. The file descriptor is turned aside for the whole
    process; what others write there is passed on at the end of the block.
    """
    if not needed or os.name != "posix":
        yield
        return
    _error.enter()
    try:
        yield
    finally:
        _error.leave()


@contextlib.contextmanager
def quiet_output(needed: bool = True) -> Iterator[None]:
    """Keep libsndfile's lines on damaged SDS files from standard output, in the same way."""
    if not needed or os.name != "posix":
        yield
        return
    flush = ctypes.CDLL(None).fflush  # C has a buffer of its own before the descriptor
    flush(None)
    _output.enter()
    try:
        yield
    finally:
        flush(None)
        _output.leave()
