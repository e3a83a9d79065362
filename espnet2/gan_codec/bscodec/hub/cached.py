"""The BSCodec models in the hub's cache, as ``bscodec download`` leaves them there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.hub.config_file import read_generator_config
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import models_in


@dataclass(frozen=True)
class CachedModel:
    """A model that is found without a network.

    Attributes:
        name: that it is found by, ``owner/name[/model][@revision]``.
    """

    name: str
    config: Path
    checkpoint: Path


def cached_models() -> list[CachedModel]:
    """List the models that are complete in the cache, by name; other files count for nothing."""
    return sorted(_cached_models(), key=lambda model: model.name)


def _cached_models() -> Iterator[CachedModel]:
    try:
        from huggingface_hub import constants, scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return
    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except (CacheNotFound, OSError):
        return
    for repository in repositories:
        if repository.repo_type != "model":
            continue
        for revision in repository.revisions:
            ref = next(iter(sorted(revision.refs, key=lambda ref: ref != "main")), None)
            at = "" if ref == "main" else f"@{ref or revision.commit_hash}"
            found = models_in(revision.snapshot_path)
            for files in found:
                try:
                    read_generator_config(files.config)
                except (ModelError, OSError):
                    continue  # another codec's, or damaged
                model = f"/{files.tag}" if len(found) > 1 else ""
                name = f"{repository.repo_id}{model}{at}"
                yield CachedModel(name, files.config, files.checkpoint)
