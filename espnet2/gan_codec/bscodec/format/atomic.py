"""Atomic writes: an output appears under its name only once it is complete.

A temporary file or folder is locked as long as its writer lives. What a killed writer leaves
behind can therefore be told from what is being written, and the next writer into that folder
removes it.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # nothing else ends so
_PREFIX, _SUFFIX = ".bscodec-", ".tmp"
_cleaned: set[Path] = set()  # folders that this process has looked into


def create_temporary(path: str | os.PathLike, suffix: str = "") -> BinaryIO:
    """Create, open and lock a hidden file in the folder of ``path``; an OSError names ``path``.

    Its name is short, whatever that of ``path``, and ends in ``suffix``; a rename from there to
    ``path`` never copies. The lock ends when the file is closed: rename first.
    """
    folder = Path(path).parent
    try:
        remove_abandoned(folder)
        while True:
            name = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}{suffix}"
            file = open(name, "xb")
            try:
                is_ours = _lock(file.fileno()) and name.exists()
            except OSError:  # a file system without locks: nothing there is ever removed
                return file
            if is_ours:
                return file
            file.close()  # another writer has just taken it for abandoned
    except OSError as error:
        error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def temporary_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield a new hidden folder within ``folder``, which is removed at the end.

    Raises an OSError that names ``folder``.
    """
    made = Path(folder, f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        remove_abandoned(Path(folder))
        made.mkdir()
        handle = os.open(made, os.O_RDONLY)
    except OSError as error:
        error.filename = os.fspath(folder)
        raise
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            _lock(handle)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of writers that were killed, once a folder and process."""
    folder = Path(os.path.abspath(folder))
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    for name in folder.glob(f"{_PREFIX}*{_SUFFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(name, os.O_RDONLY)
            try:
                if _lock(handle):
                    shutil.rmtree(name) if name.is_dir() else name.unlink()
            finally:
                os.close(handle)


def _lock(handle: int) -> bool:
    """Take the lock of an open file or folder; False where another has it open with its lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary name for ``path``; move it there on success, remove it on any failure.

    The name ends in ``suffix``, for programs that know a kind of file by that.

    A reader therefore never sees half a file, and an interrupted run leaves nothing behind.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    with create_temporary(path, suffix) as file:
        temporary = Path(file.name)
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in WRITE_ERRORS and not error.filename:
                error.filename = os.fspath(path)
            raise
