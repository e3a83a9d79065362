"""What there is to say about a model without building it: for ``bscodec models``."""

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


def _packaged(tag: str) -> ModelCard:
    # Not safetensors.torch: importing torch takes seconds.
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    files = find_model(tag)
    try:
        weights = load_file(files.checkpoint)
    except SafetensorError as error:
        raise ModelError(f"{files.checkpoint}: damaged: {error}") from error
    digest = fingerprint(weights.items())[:8]
    return _described(tag, files.config, files.checkpoint, digest, "comes with the package")


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
