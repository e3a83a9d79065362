"""Fetch a model and lay its two files down; nothing in them is run or even loaded."""

import os
import shutil
from pathlib import Path

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.config_file import read_codec_conf
from espnet2.gan_codec.bscodec.hub.huggingface import drop_damaged
from espnet2.gan_codec.bscodec.hub.outputs import changed, new_files
from espnet2.gan_codec.bscodec.hub.resolver import CONFIG, ModelFiles, find_model


def download_model(
    name: str, folder: str | os.PathLike | None = None, force: bool = False
) -> ModelFiles:
    """Fetch the model ``name``, and copy its config and weights into ``folder`` if one is given.

    What the cache holds of it is compared with the hub's hashes, and fetched again if damaged.

    Args:
        name: as for ``load_model``.
        folder: made if needed; what is there already and the same is not written again.
        force: replace files of these names that are others.

    Returns:
        The files, in ``folder`` or where they are found by ``name``.

    Raises:
        ModelError: there is no such BSCodec model, or the hub does not give it.
        OSError: another file is there, or it cannot be written.
    """
    files = find_model(name)
    if drop_damaged([files.config, files.checkpoint]):
        files = find_model(name)
    read_codec_conf(files.config)
    if folder is None:
        return files
    folder = Path(folder)
    copies = {files.config: folder / CONFIG, files.checkpoint: folder / files.checkpoint.name}
    missing = changed(copies, force)
    with new_files(folder, files, force) as made:
        for source, target in missing.items():
            with atomic_write(made / target.name) as temporary:
                with source.open("rb") as theirs, temporary.open("wb") as ours:
                    shutil.copyfileobj(theirs, ours, 1 << 20)
    return ModelFiles(files.tag, *copies.values())
