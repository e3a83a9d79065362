"""Checkpoints that survive a kill and a full disk."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import torch

CHECKPOINT = "checkpoint.pth"  # ESPnet's name of the file from which training goes on


@contextlib.contextmanager
def atomic_checkpoints() -> Iterator[None]:
    """While this lasts, ``torch.save`` to a path leaves a whole file there, or what there was.

    It writes to ``<path>.part`` and renames. The name is always the same, so that what a kill
    leaves behind is overwritten by the next run and does not pile up. Saving to an open file is as
    ever.

    ESPnet's trainer saves CHECKPOINT and then that epoch's weights, ``<N>epoch.pth``. Cut off
    between the two, it would go on without weights that the average of the best epochs, hours
    later, does not find. CHECKPOINT is therefore held back until the file after it is in place.

    Raises:
        OSError: from ``torch.save``, if the disk is full or cannot be written to.
    """
    save = torch.save
    held: dict[str, str] = {}

    def release() -> None:
        while held:
            os.replace(*held.popitem())

    @functools.wraps(save)
    def save_atomically(obj, f, *args, **kwargs):
        if not isinstance(f, (str, os.PathLike)):
            return save(obj, f, *args, **kwargs)
        path = os.fspath(f)
        part = f"{path}.part"
        _write(path, part, lambda file: save(obj, file, *args, **kwargs))
        if os.path.basename(path) == CHECKPOINT:
            held[part] = path
        else:
            os.replace(part, path)
            release()

    torch.save = save_atomically
    try:
        yield
        release()
    finally:
        torch.save = save
        for part in held:
            os.unlink(part)


def _write(path: str, part: str, save: Callable) -> None:
    try:
        with open(part, "wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine can undo it after the rename
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        cause = error.__context__
        if isinstance(error, RuntimeError) and isinstance(cause, OSError):
            # torch hides it behind "unexpected pos"
            raise OSError(cause.errno, cause.strerror, path) from error
        raise
