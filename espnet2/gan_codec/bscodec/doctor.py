"""What this environment has, what it lacks, and how to get that: for ``bscodec doctor``."""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from espnet2.gan_codec.bscodec import plugin, versions

PACKAGE = "espnet-bscodec"
PROGRAMS = {
    "ffmpeg": ("m4a, mp4, WebM and WMA files can be read", "apt-get install ffmpeg"),
    "opusenc": ("scores beside Opus can be made", "apt-get install opus-tools"),
}
OK, LACKS, FAILS = "ok", "lacks", "FAILS"


@dataclass(frozen=True)
class Finding:
    """One line of the answer.

    Attributes:
        topic: a word.
        status: ``OK``; ``LACKS``, something that only some uses need; ``FAILS``.
        text: what was found.
        remedy: what to do about it, or "".
    """

    topic: str
    status: str
    text: str
    remedy: str = ""


def check_environment() -> Iterator[Finding]:
    """Yield what is found, topic by topic; nothing is downloaded or written."""
    yield from _of(_versions, _plug_in, _espnet, _devices, _programs, _extras, _cache, _model)


def _of(*checks: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # a broken library must not end the answer
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding(check.__name__.strip("_"), FAILS, reason, "install it again")


def _versions() -> Iterator[Finding]:
    here = versions.installed()
    names = ", ".join(map(" ".join, zip(versions.NAMES, here, strict=True)))
    how = versions.how_tested(here)
    if how:
        yield Finding("versions", OK, f"{names}: tested with {how}")
    else:
        yield Finding(
            "versions", LACKS, f"{names}: not tested together", "'bscodec versions' says what was"
        )


def _plug_in() -> Iterator[Finding]:
    spec = importlib.util.find_spec(f"{plugin.ALIAS}_plugin")
    remedy = f"install {PACKAGE} again"
    if spec is None or spec.origin is None:
        yield Finding("plug-in", FAILS, "ESPnet's commands do not start it", remedy)
    elif Path(spec.origin).read_bytes() != Path(plugin.__file__).read_bytes():
        yield Finding("plug-in", LACKS, f"{spec.origin} is of another version", remedy)
    else:
        yield Finding("plug-in", OK, spec.origin)


def _espnet() -> Iterator[Finding]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        from espnet2.gan_codec.bscodec.bscodec import BSCodec
        from espnet2.tasks.gan_codec import codec_choices

    names = [name for name, codec in codec_choices.classes.items() if codec is BSCodec]
    if names:
        yield Finding("ESPnet", OK, f"knows the codec as {', '.join(names)}")
    else:
        yield Finding("ESPnet", FAILS, "does not know the codec", f"install {PACKAGE} again")


def _devices() -> Iterator[Finding]:
    import torch

    from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
    from espnet2.gan_codec.bscodec.inference.half_precision import has_bf16_units

    units = "with" if has_bf16_units(torch.device("cpu")) else "without"
    yield Finding("CPU", OK, f"{available_cpus()} to use, {units} units for --precision bf16")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(gpus):
        facts = torch.cuda.get_device_properties(index)
        yield Finding("GPU", OK, f"cuda:{index}, {facts.name}, {facts.total_memory >> 30} GiB")
    if not gpus:
        kind = f"torch {torch.__version__} sees none; coding and small training need none"
        yield Finding("GPU", OK, kind)


def _programs() -> Iterator[Finding]:
    for name, (use, remedy) in PROGRAMS.items():
        if found := shutil.which(name):
            yield Finding(name, OK, f"{found}: {use}")
        else:
            yield Finding(name, LACKS, f"not found; with it, {use}", remedy)


def _extras() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    distribution = metadata.distribution(PACKAGE)
    required = [Requirement(line) for line in distribution.requires or ()]
    for extra in distribution.metadata.get_all("Provides-Extra") or ():
        lacking = sorted({r.name for r in required if _is_lacking(r, extra)})
        if lacking:
            install = f"pip install '{PACKAGE}[{extra}]'"
            yield Finding(f"[{extra}]", LACKS, f"not here: {', '.join(lacking)}", install)
        else:
            yield Finding(f"[{extra}]", OK, "installed")


def _is_lacking(requirement, extra: str) -> bool:
    """Whether an extra asks for a package that is missing, or too old."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
        return False
    try:
        return not requirement.specifier.contains(metadata.version(requirement.name), True)
    except metadata.PackageNotFoundError:
        return True


def _cache() -> Iterator[Finding]:
    from huggingface_hub import constants

    from espnet2.gan_codec.bscodec.hub.cached import cached_models

    count = len(cached_models())
    yield Finding("cache", OK, f"{constants.HF_HUB_CACHE}: {count} models (bscodec models)")


def _model() -> Iterator[Finding]:
    import numpy as np

    from espnet2.gan_codec.bscodec.codec import Codec

    codec = Codec.from_pretrained(device="cpu")
    rate = codec.sampling_rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    decoded = codec.decode(codec.encode(tone, rate))
    text = f"{codec.tag}, fingerprint {codec.fingerprint[:8]}: codes and decodes"
    if len(decoded) == rate and np.isfinite(decoded).all():
        yield Finding("model", OK, text)
    else:
        yield Finding("model", FAILS, "what it decodes is no audio", f"install {PACKAGE} again")
