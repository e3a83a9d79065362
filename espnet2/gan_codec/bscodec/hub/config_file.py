"""Read a model's ``config.yaml``: bounded in size, depth and aliases, and checked for coding."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.hub.error import ModelError

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.model.config import GeneratorConfig

CODEC_NAMES = ("bscodec", "espnet_bscodec")
MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 200_000  # an alias counts as all that it stands for
MAX_SCALAR = 4096  # characters; YAML 1.1 reads 1:59:59... as a number, in quadratic time
# what coding needs of codec_conf, with its defaults
_OF_CODING: dict[str, Any] = {
    "sampling_rate": 24000,
    "generator_params": {},
    "inference_precision": "float32",
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, ten times as fast
# Coding needs neither losses nor a discriminator. ESPnet's mel filters import numba, and the
# published discriminator takes 0.3 GB at the moment it is made: the smallest ones instead.
_NO_TRAINING = {
    "use_mel_loss": False,
    "use_feat_match_loss": False,
    "use_spectral_loss": True,
    "spectral_loss_params": {"fft_sizes": [64]},
    "discriminator_params": {"msstft_discriminator_params": {"filters": 1}},
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises ModelError in one line for anything else."""
    require_regular(path)
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ModelError(f"{path}: more than {MAX_BYTES >> 20} MiB, which no config has")
    try:
        _check_events(text)
        contents = yaml.load(text, _Loader)  # nosec B506
        _count(contents, MAX_NODES, MAX_DEPTH)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: an impossible date
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{path}: no valid YAML: {reason}") from error
    if not isinstance(contents, dict):
        raise ModelError(f"{path}: expected a mapping of keys to values")
    return contents


def _check_events(text: bytes) -> None:
    """Raise ValueError for what the loader, which recurses and computes, should not see."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            raise ValueError(f"a value of more than {MAX_SCALAR} characters")
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")


def _count(node: Any, budget: int, depth: int) -> int:
    """Return what is left of ``budget`` after one for each value below ``node``.

    Raises ValueError below ``depth`` levels: an alias of what it is in has no end.
    """
    budget -= 1
    if budget < 0:
        raise ValueError(f"more than {MAX_NODES} values, aliases written out")
    if depth < 0:
        raise ValueError("nested too deeply, aliases written out")
    if isinstance(node, dict):
        for value in node.values():
            budget = _count(value, budget, depth - 1)
    elif isinstance(node, list):
        for value in node:
            budget = _count(value, budget, depth - 1)
    return budget


def read_codec_conf(config: Path) -> dict[str, Any]:
    """Return ``codec_conf`` of a training ``config.yaml``. Raises ModelError for another codec."""
    return _codec_conf(read_yaml(config), config)


def _codec_conf(contents: dict[str, Any], config: Path) -> dict[str, Any]:
    if contents.get("codec") not in CODEC_NAMES:
        codec = str(contents.get("codec"))[:80]
        raise ModelError(f"{config}: codec is {codec!r}: expected 'bscodec'")
    conf = contents.get("codec_conf")
    if not isinstance(conf, dict):
        raise ModelError(f"{config}: codec_conf is missing")
    return conf


def read_generator_config(config: Path) -> tuple[GeneratorConfig, int]:
    """Return what a ``config.yaml`` says of the generator, and its sampling rate in Hz.

    Raises:
        ModelError: it is another codec's, or none that can be built.
    """
    from espnet2.gan_codec.bscodec.model.config import GeneratorConfig, check_sampling_rate

    conf = {**_OF_CODING, **read_codec_conf(config)}
    rate = conf["sampling_rate"]
    try:
        check_sampling_rate(rate)
        return GeneratorConfig.from_dict(conf["generator_params"], rate), rate
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise ModelError(f"{config}: {error}") from error


def coding_conf(config: Path, contents: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the part of ``codec_conf`` that coding needs; the rest is for training.

    A setting of the training that this version does not know, as configs of other versions may
    have, is named in a logged note. The generator's are all checked when it is built.

    Args:
        config: a training's config.yaml.
        contents: of it, where they have been read.

    Raises:
        ModelError: for another codec.
    """
    from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec
    from espnet2.gan_codec.bscodec.model.config import (
        ConfigError,
        check_discriminator_params,
        check_keys,
    )
    from espnet2.gan_codec.bscodec.model.discriminators import check_discriminator_keys

    conf = _codec_conf(read_yaml(config) if contents is None else contents, config)
    needed = {key: conf.get(key, default) for key, default in _OF_CODING.items()}
    training = {key: value for key, value in conf.items() if key not in needed}
    known = [*inspect.signature(BandSplitCodec).parameters][:-1]  # the last takes all others
    discriminator = conf.get("discriminator_params", {})
    for check, *args in (
        (check_keys, "", training, known),
        (check_discriminator_params, discriminator),
        (check_discriminator_keys, discriminator),
    ):
        try:
            check(*args)
        except (ConfigError, TypeError, AttributeError) as error:
            reason = str(error).partition(";")[0]
            logging.getLogger("espnet_bscodec").warning(
                "%s: ignored, since coding does not need it: %s", config, reason
            )
            break
    return {**needed, **_NO_TRAINING}
