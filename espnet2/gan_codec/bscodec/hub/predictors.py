"""The code predictors that lie beside models' weights, and the entropy coders made of them."""

from __future__ import annotations

import functools
from pathlib import Path

from espnet2.gan_codec.bscodec.entropy.predictor import Predictor, PredictorError
from espnet2.gan_codec.bscodec.entropy.range_coder import MissingCoder, RangeCoder
from espnet2.gan_codec.bscodec.format.header import BscHeader
from espnet2.gan_codec.bscodec.hub.cards import version_that_made
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import PREDICTOR, find_model, packaged_models


def load_coder(checkpoint: Path, fingerprint: str) -> RangeCoder:
    """Return the entropy coder of the model with these weights.

    Raises:
        ModelError: it has no predictor or one of other weights, or constriction is not installed.
    """
    path = checkpoint.with_name(PREDICTOR)
    coder = _loaded(path)
    if coder.predictor.model != fingerprint:
        raise ModelError(f"{path}: predicts the codes of other weights than those beside it")
    return coder


def check_coder(coder: RangeCoder, header: BscHeader, name: str) -> None:
    """Raise ModelError unless a file was entropy-coded by this coder's predictor."""
    if coder.fingerprint != header.predictor or not coder.fits(header.codebook_sizes):
        raise ModelError(
            f"{name}: entropy-coded by the predictor {header.predictor}; the model's is "
            f"{coder.fingerprint}"
        )


def packaged_coder(header: BscHeader, name: str) -> RangeCoder:
    """Return the coder for a file of a model that comes with the package. Raises ModelError."""
    if header.model not in packaged_models():
        raise ModelError(f"{name}: entropy-coded by the predictor of the model '{header.model}'")
    made_by = find_model(version_that_made(header.model, header.fingerprint))
    coder = _loaded(made_by.checkpoint.with_name(PREDICTOR))
    check_coder(coder, header, name)
    return coder


@functools.lru_cache(maxsize=1)
def _loaded(path: Path) -> RangeCoder:
    if not path.is_file():
        raise ModelError(f"{path.parent}: no code predictor there ({PREDICTOR})")
    try:
        return RangeCoder(Predictor.load(path))
    except (PredictorError, MissingCoder) as error:
        raise ModelError(str(error)) from error
