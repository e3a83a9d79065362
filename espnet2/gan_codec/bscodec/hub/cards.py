"""What there is to say about a model without building it: for ``bscodec models``."""

import functools
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.hub.cached import CachedModel, cached_models
from espnet2.gan_codec.bscodec.hub.config_file import read_generator_config
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import (
    PUBLISHED_MODELS,
    PUBLISHED_REPOSITORY,
    find_model,
    packaged_models,
    packaged_versions,
)
from espnet2.gan_codec.bscodec.hub.weights import fingerprint

# Bands (upper edges in Hz) and codebook size of the published models: 24 kHz, hop 320.
_PUBLISHED = {
    "BSCodec_band_vq_5band": ((500, 2000, 4000, 8000, 12000), 1024),
    "BSCodec_band_simvq_3band": ((2000, 4000, 12000), 131072),
    "BSCodec_band_simvq_2band": ((2000, 12000), 131072),
}


@dataclass(frozen=True)
class ModelCard:
    """One line of ``bscodec models``.

    Attributes:
        bitrate: of the codes, in bits/s.
        sampling_rate: in Hz.
        edges: of the bands in Hz, from 0 up.
        num_bytes: of the weights; None for a model that has to be fetched.
        fingerprint: 8 hex digits as in a ``.bsc`` file; None for all but packaged models.
        source: where the weights are.
    """

    tag: str
    bitrate: float
    sampling_rate: int
    edges: tuple[float, ...]
    num_bytes: int | None
    fingerprint: str | None
    source: str


def list_models() -> list[ModelCard]:
    """Describe the packaged models, the published ones, and what the hub's cache holds.

    Raises:
        ModelError: a packaged model is damaged.
    """
    packaged = packaged_models()
    fetched = [tag for tag in PUBLISHED_MODELS if tag not in packaged]
    cards = [_packaged(tag) for tag in packaged] + [_published(tag) for tag in fetched]
    return cards + [_cached(model) for model in cached_models()]


def version_that_made(tag: str, fingerprint: str) -> str:
    """The name of the packaged model that a ``.bsc`` file's tag and fingerprint mean.

    Args:
        tag: as the file has it.
        fingerprint: 8 hex digits.

    Returns:
        ``tag`` itself where no older version of it has the fingerprint.

    Raises:
        ModelError: a packaged model is damaged.
    """
    versions = packaged_versions(tag)
    if len(versions) > 1:
        made = (n for n in versions if _digest(find_model(n).checkpoint) == fingerprint)
        return next(made, tag)
    return tag


def _packaged(name: str) -> ModelCard:
    files = find_model(name)
    digest = _digest(files.checkpoint)
    return _described(name, files.config, files.checkpoint, digest, "comes with the package")


@functools.cache
def _digest(checkpoint: Path) -> str:
    """The fingerprint of a packaged model's weights, 8 hex digits."""
    # Not safetensors.torch: importing torch takes seconds.
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return fingerprint(load_file(checkpoint).items())[:8]
    except SafetensorError as error:
        raise ModelError(f"{checkpoint}: damaged: {error}") from error


def _cached(model: CachedModel) -> ModelCard:
    # the fingerprint of a .pth would take torch
    source = f"in the cache, {model.checkpoint.name}"
    return _described(model.name, model.config, model.checkpoint, None, source)


def _described(
    tag: str, config: Path, checkpoint: Path, fingerprint: str | None, source: str
) -> ModelCard:
    generator, rate = read_generator_config(config)
    bits = sum((size - 1).bit_length() for size in generator.codebook_sizes)
    return ModelCard(
        tag=tag,
        bitrate=bits * rate / generator.hop_length,
        sampling_rate=rate,
        edges=(0, *(high for _, high in generator.bands)),
        num_bytes=checkpoint.stat().st_size,
        fingerprint=fingerprint,
        source=source,
    )


def _published(tag: str) -> ModelCard:
    edges, codebook_size = _PUBLISHED[tag]
    bits = len(edges) * (codebook_size - 1).bit_length()
    return ModelCard(
        tag=tag,
        bitrate=bits * 24000 / 320,
        sampling_rate=24000,
        edges=(0, *edges),
        num_bytes=None,
        fingerprint=None,
        source=f"Hugging Face {PUBLISHED_REPOSITORY}, or exp/codec_{tag}_raw_fs24000",
    )
