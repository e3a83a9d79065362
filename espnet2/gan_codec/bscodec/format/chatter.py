"""What C libraries write to the standard error output of the process, kept from it.

libmpg123 within libsndfile prints warnings there, which cannot be turned off from outside.
"""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

_CHATTER = re.compile(rb"\[?[\w./]*libmpg123|(Note|Warning): [A-Z]|\n$")


class _Aside:
    """Standard error, turned aside into a file while there is anyone inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: int | None = None  # where standard error goes else
        self._caught = -1
        self._read = 0  # bytes of what was caught that have been looked at

    def enter(self) -> None:
        """Turn it aside, if it is not yet."""
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            try:
                self._saved = os.dup(2)
            except OSError:  # it is closed
                return
            if self._caught < 0:
                with tempfile.NamedTemporaryFile() as file:
                    self._caught = os.open(file.name, os.O_RDWR | os.O_APPEND)
            os.dup2(self._caught, 2)

    def leave(self) -> None:
        """Pass on what is no chatter, and turn it back if nobody else is inside."""
        with self._lock:
            self._inside -= 1
            if self._saved is None:
                return
            if self._inside == 0:
                os.dup2(self._saved, 2)
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
        self._read += len(text)
        return b"".join(
            line for line in text.splitlines(keepends=True) if not _CHATTER.match(line)
        )


_aside = _Aside()


@contextlib.contextmanager
def quiet_libraries(needed: bool = True) -> Iterator[None]:
    """Keep lines of libmpg123 from standard error within the block, if that is ``needed``.

    Threads may be in it at the same time. The file descriptor is turned aside for the whole
    process; what others write there is passed on at the end of the block.
    """
    if not needed or os.name != "posix":
        yield
        return
    _aside.enter()
    try:
        yield
    finally:
        _aside.leave()
