"""BSCodec models by tag in stock ESPnet: its downloader asks here before it goes its usual way.

ESPnet's ``AudioCoding.from_pretrained(tag)`` and ``gan_codec_inference --model_tag tag`` take what
``espnet_model_zoo`` can download and unpack, repositories with a ``meta.yaml``.  The plug-in has
them take every name that :func:`~espnet2.gan_codec.bscodec.hub.resolver.find_model` knows as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from espnet2.gan_codec.bscodec.hub.config_file import CODEC_NAMES, read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.huggingface import HubError, download
from espnet2.gan_codec.bscodec.hub.resolver import find_model, is_own_tag, parse_hub_name


def find_or(usual: Callable[[], dict[str, Any]], tag: str) -> dict[str, Any]:
    """Return the files of the BSCodec model ``tag``, or what ``usual`` returns for another's.

    Returns:
        ``train_config`` and ``model_file``, as ``ModelDownloader.download_and_unpack`` has them.

    Raises:
        ModelError: in one line; of a hub that gives nothing, if the usual way fails too.
    """
    if not tag.strip():  # of which the zoo makes the last model of its table
        raise ModelError("the model's tag is empty")
    try:
        ours = _is_ours(tag)
    except HubError as error:
        try:
            return usual()
        except Exception:
            raise error from None
    if not ours:
        return _usual(usual, tag)
    files = find_model(tag)
    return {"train_config": str(files.config), "model_file": str(files.checkpoint)}


def _usual(usual: Callable[[], dict[str, Any]], tag: str) -> dict[str, Any]:
    """Go the usual way; how that fails says neither which tag it was nor that it was a tag."""
    try:
        return usual()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{tag}: no model of BSCodec's, and ESPnet's downloader finds none: {reason}"
        ) from error


def _is_ours(tag: str) -> bool:
    """Whether a tag means a BSCodec model; raises HubError where the hub cannot tell."""
    if is_own_tag(tag):
        return True
    if Path(tag).is_dir():
        return _holds_bscodec(Path(tag))
    name = parse_hub_name(tag)
    if name is None or Path(tag).exists():  # an archive
        return False
    # only our names have a model's part behind the repository's
    return name.model is not None or _holds_bscodec(download(*name[::2], ["*.yaml"]))


def _holds_bscodec(folder: Path) -> bool:
    for path in sorted(folder.rglob("*.yaml")):
        try:
            if read_yaml(path).get("codec") in CODEC_NAMES:
                return True
        except ModelError:
            continue  # not one of ours then
    return False
