"""Put the files of a model into a folder: all of them or none, and over no other file."""

import errno
import filecmp
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from espnet2.gan_codec.bscodec.format.atomic import temporary_folder
from espnet2.gan_codec.bscodec.hub.resolver import META, ModelFiles


@contextmanager
def new_files(folder: Path, source: ModelFiles, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder; what is written there moves into ``folder`` at the end.

    On any failure ``folder`` stays as it was.

    Args:
        folder: made if needed.
        source: the model they are made of, whose files are never replaced.
        force: replace other files.

    Raises:
        OSError: another file is there, or they cannot be written.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as made:
            yield made
            targets = {path: folder / path.name for path in sorted(made.iterdir())}
            _check_none_of(source, targets.values())
            for path, target in changed(targets, force).items():
                os.replace(path, target)
    except OSError as error:
        if error.filename and Path(error.filename).parent.parent == folder:
            error.filename = str(folder / Path(error.filename).name)  # not the hidden one
        raise
    finally:
        for path in missing:
            with suppress(OSError):  # there are files in it
                path.rmdir()


def _check_none_of(source: ModelFiles, targets: Iterable[Path]) -> None:
    for target in targets:
        for own in (source.config, source.checkpoint):
            if target.exists() and target.samefile(own):
                raise FileExistsError(
                    errno.EEXIST, "is of the model itself: give another folder", str(target)
                )


def changed(targets: Mapping[Path, Path], force: bool) -> dict[Path, Path]:
    """Return those files, and where each is to go, that are not there already.

    Raises:
        OSError: another file is there, and not ``force``; or a folder is.
    """
    found = {path: target for path, target in targets.items() if not _same(path, target)}
    for target in found.values():
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        if target.exists() and not force:
            raise FileExistsError(
                errno.EEXIST, "is there already, another one (--force overwrites)", str(target)
            )
    return found


def _same(path: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    return filecmp.cmp(path, target, shallow=False) or (
        path.suffix == ".zip" and _members(path) == _members(target)
    )


def _members(archive: Path) -> object:
    """What is in a packed model, but for the time of packing, which is in its ``meta.yaml``."""
    try:
        with zipfile.ZipFile(archive) as packed:
            return {entry.filename: entry.CRC for entry in packed.infolist()} | {META: 0}
    except zipfile.BadZipFile:
        return None
