"""The systems that are compared: published sizes from ``conf/``, the packaged model, peers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.coders import Coder, Naive, Plain, Residual, Streamed
from benchmarks.peers import OPUS_KBPS, DACPackage, EnCodecPackage, Opus
from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.config_file import read_codec_conf, read_yaml
from espnet2.gan_codec.bscodec.hub.resolver import DEFAULT_MODEL
from espnet2.gan_codec.dac.dac import DACGenerator
from espnet2.gan_codec.shared.quantizer.modules.core_vq import EuclideanCodebook
from espnet2.gan_codec.soundstream.soundstream import SoundStreamGenerator

THREE_BANDS = "train_BSCodec_band_simvq_3band.yaml"
FIVE_BANDS = "train_BSCodec_band_vq_5band.yaml"
FORMS = {"engine": Streamed, "plain": Plain, "naive": Naive}
# coding needs no discriminator, and one is always built: the smallest there is
NO_DISCRIMINATOR = {"msstft_discriminator_params": {"filters": 1}}


@dataclass(frozen=True)
class System:
    """A model in one form of its computation.

    Attributes:
        model: what is computed.
        form: how: ``engine`` (ours), ``plain`` (our modules without it), ``naive`` (what the
            others of the same model are compared with), or the name of another package.
        make: builds it; picklable.  Raises UnavailableError where it cannot be had.
        long: whether the growth of its cost with the length is of interest.
        inside: whether it runs within our process, so that its memory can be measured.
    """

    model: str
    form: str
    make: Callable[[], Coder]
    long: bool = False
    inside: bool = True

    @property
    def name(self) -> str:
        return f"{self.model}, {self.form}"


def catalogue(conf: Path) -> list[System]:
    """Return all systems; those of one model share its weights within a process.

    Args:
        conf: the folder with the training configs of the published sizes.
    """
    simvq = functools.partial(published, conf / THREE_BANDS)
    vq = functools.partial(published, conf / FIVE_BANDS)
    systems = [
        *_forms("BSCodec 3-band SimVQ", simvq, FORMS, long=("engine", "naive")),
        # ESPnet's search of 1024 codes costs what ours does: plain would be naive once more
        *_forms("BSCodec 5-band VQ", vq, ("engine", "naive"), long=()),
        *_forms(DEFAULT_MODEL, packaged, FORMS, long=("engine",)),
    ]
    for label, kind in (("DAC (ESPnet)", "dac"), ("EnCodec (ESPnet)", "encodec")):
        build = functools.partial(residual, kind, conf / f"train_{kind}.yaml")
        for form in ("engine", "naive"):
            make = functools.partial(build, engine=form == "engine")
            systems.append(System(label, form, make))
    return [
        *systems,
        System("EnCodec", "encodec", EnCodecPackage),
        System("DAC", "descript-audio-codec", DACPackage),
        System(f"Opus {OPUS_KBPS} kbit/s", "opus-tools", Opus, inside=False),
    ]


def _forms(
    model: str, build: Callable[[], BSCodec], forms: Iterable[str], long: Collection[str]
) -> list[System]:
    return [
        System(model, form, functools.partial(form_of, form, build), form in long)
        for form in forms
    ]


def form_of(form: str, build: Callable[[], BSCodec]) -> Coder:
    """Return the model that ``build`` builds in one of FORMS."""
    return FORMS[form](build())


@functools.cache
def published(config: Path) -> BSCodec:
    """Build the model of a training config with random weights. Raises ModelError."""
    conf = read_codec_conf(config)
    torch.manual_seed(0)
    model = BSCodec(**conf | {"discriminator_params": NO_DISCRIMINATOR})
    return _with_codebooks(model).eval()


@functools.cache
def packaged() -> BSCodec:
    """Load the default model."""
    return load_model(DEFAULT_MODEL, "cpu").model


def residual(kind: str, config: Path, engine: bool) -> Coder:
    """Build ESPnet's ``dac`` or ``encodec``. Raises NotSupported, if the engine is asked for."""
    return Residual(_residual_generator(kind, config), engine)


@functools.cache
def _residual_generator(kind: str, config: Path) -> nn.Module:
    conf = read_yaml(config)["codec_conf"]
    params = conf["generator_params"] | {"sample_rate": conf["sampling_rate"]}
    torch.manual_seed(0)
    # ESPnet's EnCodec is its SoundStream with other discriminators
    generator = {"dac": DACGenerator, "encodec": SoundStreamGenerator}[kind](**params)
    return _with_codebooks(generator).eval()


def _with_codebooks(model: nn.Module) -> nn.Module:
    """Draw the codebooks that only training would fill."""
    for module in model.modules():
        if isinstance(module, EuclideanCodebook):
            module.embed.normal_()
    return model
