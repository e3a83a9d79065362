"""The reference of ``codec_conf``: keys, types, defaults, what is allowed, and what they mean.

Keys and defaults come from signatures and dataclasses, meanings from docstrings, and what is
allowed from the checks themselves, by the error that a wrong value brings.
"""

import dataclasses
import fnmatch
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import griffe

from espnet2.gan_codec.bscodec.model import losses
from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec
from espnet2.gan_codec.bscodec.model.config import (
    ConfigError,
    GeneratorConfig,
    check_codec_conf,
)
from espnet2.gan_codec.bscodec.training.augmentation import AugmentConfig
from espnet2.gan_codec.shared.discriminator.msstft_discriminator import DiscriminatorSTFT

Rows = Iterable[tuple[str, Any, Any]]  # key, type, default

HEAD = """# Configuration

A training's YAML file has ESPnet's keys (`python -m espnet2.bin.gan_codec_train --help`) and,
for `codec: bscodec`, `codec_conf` with the keys below; `conf/train_*.yaml` of the repository are
complete ones. On the command line: `--codec_conf generator_params.mdct_hop=200`. An unknown key,
or a value that is not allowed, is refused in one line that names it.
"""
SECTIONS = (
    *("generator_params", "augment_params", "spectral_loss_params", "mel_loss_params"),
    *("generator_adv_loss_params", "feat_match_loss_params", "discriminator_params"),
)
PUBLISHED = "Without the key, as the published configs have it: `{}`."


def markdown() -> str:
    """Return the page."""
    generator = _fields(GeneratorConfig)
    augment = _fields(AugmentConfig)
    spectral = losses.MultiResolutionSpectralLoss
    parts = [
        HEAD,
        _section("codec_conf", "", _arguments(BandSplitCodec), BandSplitCodec, _of_codec_conf),
        _section(
            "generator_params", "The model itself.", generator, GeneratorConfig, _of_generator
        ),
        _section(
            "augment_params", "Augmentation on the device.", augment, AugmentConfig, _of_augment
        ),
        _section(
            "spectral_loss_params",
            "With `use_spectral_loss: true`. "
            "[The formula][espnet2.gan_codec.bscodec.model.losses.MultiResolutionSpectralLoss].",
            [row for row in _arguments(spectral) if row[0] != "fs"],
            spectral,
        ),
        _espnets("mel_loss_params", losses.MultiScaleMelSpectrogramLoss, losses.MEL_DEFAULTS),
        _espnets(
            "generator_adv_loss_params",
            losses.GeneratorAdversarialLoss,
            losses.ADVERSARIAL_DEFAULTS,
            "The same keys: `discriminator_adv_loss_params`.",
        ),
        _espnets("feat_match_loss_params", losses.FeatureMatchLoss, losses.FEATURE_DEFAULTS),
        _discriminators(),
    ]
    return "\n".join(parts)


def _fields(config: type) -> Rows:
    for field in dataclasses.fields(config):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        yield field.name, field.type, default


def _arguments(function: Callable) -> Rows:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter.name, parameter.annotation, parameter.default


def _section(
    title: str, text: str, rows: Rows, documented: object, wrong: Callable | None = None
) -> str:
    meanings = _meanings(documented)
    lines = [
        f"## {title}",
        "",
        text,
        "",
        "| key | expected | default | meaning |",
        "|---|---|---|---|",
    ]
    for key, kind, default in rows:
        expected = (_expected(wrong, key) if wrong else None) or _type(kind)
        lines.append(f"| `{key}` | {expected} | {_value(default)} | {_meaning(key, meanings)} |")
    return "\n".join([*lines, ""])


def _espnets(title: str, loss: type, published: Mapping[str, Any], more: str = "") -> str:
    """A section of arguments of a class of ESPnet's."""
    text = f"ESPnet's `{loss.__name__}`. {PUBLISHED.format(json.dumps(published))} {more}"
    rows = [row for row in _arguments(loss) if row[0] != "fs"]  # the model's rate
    documented = loss if "Args" in (loss.__doc__ or "") else loss.__init__
    return _section(title, text, rows, documented)


def _discriminators() -> str:
    text = (
        "One of two keys: `msmpmb_discriminator_params`, the published one, with ESPnet's "
        "`MultiScaleMultiPeriodMultiBandDiscriminator` (its keys are in "
        "`conf/train_BSCodec_band_simvq_3band.yaml`), or `msstft_discriminator_params`, light "
        "enough for a CPU, with lists `n_ffts`, `hop_lengths` and `win_lengths` and the keys of "
        "ESPnet's `DiscriminatorSTFT`:"
    )
    of_each = ("n_fft", "hop_length", "win_length")  # from the lists
    rows = [row for row in _arguments(DiscriminatorSTFT) if row[0] not in of_each]
    return _section("discriminator_params", text, rows, DiscriminatorSTFT)


def _meanings(documented: object) -> dict[str, str]:
    docstring = griffe.Docstring(inspect.getdoc(documented) or "")
    sections = docstring.parse("google", warnings=False)
    kinds = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
    return {
        item.name: item.description
        for section in sections
        if section.kind in kinds
        for item in section.value
    }


def _meaning(key: str, meanings: Mapping[str, str]) -> str:
    """A key's own text, or the one of a pattern."""
    for pattern, text in meanings.items():
        if fnmatch.fnmatch(key, pattern):
            text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(text.split()))
            text = text.replace("``", "`").replace("|", "\\|")
            return f"{text} [Its keys](#{key})." if key in SECTIONS else text
    return ""


def _expected(wrong: Callable[[str], object], key: str) -> str | None:
    """What the check of a key says of a value that nothing can be."""
    try:
        wrong(key)
    except (ConfigError, TypeError) as error:
        match = re.search(r"expected (.*), got", str(error))
        return match[1].replace("|", "\\|") if match and key in str(error) else None
    return None


def _of_codec_conf(key: str) -> None:
    defaults = {name: default for name, _, default in _arguments(BandSplitCodec)}
    check_codec_conf({**defaults, key: object()})


def _of_generator(key: str) -> None:
    GeneratorConfig.from_dict({key: object()}, 24000)


def _of_augment(key: str) -> None:
    AugmentConfig.from_dict({"length": 1, key: object()})


def _type(kind: Any) -> str:
    text = kind.__name__ if type(kind) is type else str(kind)
    if text.startswith(("Mapping", "dict")):
        return "a mapping"
    text = text.replace("typing.", "").replace("|", "\\|")
    return {"bool": "true or false"}.get(text, f"`{text}`")


def _value(default: Any) -> str:
    """A default as YAML has it."""
    if default is inspect.Parameter.empty or default is dataclasses.MISSING:
        return "(needed)"
    text = json.dumps(default)
    return "as published" if len(text) > 60 else f"`{text}`"
