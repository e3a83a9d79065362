"""Atomic writes: an output appears under its name only once it is complete."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def temporary_name(path: str | os.PathLike) -> Path:
    """Return a fresh hidden name in the folder of ``path``, so that a rename never copies."""
    path = Path(path)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def create_temporary(path: str | os.PathLike) -> BinaryIO:
    """Create and open a file of a temporary name for ``path``; an OSError names ``path``."""
    try:
        return open(temporary_name(path), "xb")
    except OSError as error:
        error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name for ``path``; move it there on success, remove it on any failure.

    A reader therefore never sees half a file, and an interrupted run leaves nothing behind.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    with create_temporary(path) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
