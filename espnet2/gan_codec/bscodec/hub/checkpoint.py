"""Load weights into a model, strictly and without unpickling anything but tensors."""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import find_model, read_yaml

if TYPE_CHECKING:
    import torch

    from espnet2.gan_codec.bscodec.bscodec import BSCodec

CODEC_NAMES = ("bscodec", "espnet_bscodec")
_ESPNET_PREFIX = "codec."
_GENERATOR = "generator."
# Coding needs no discriminator; the published one takes 0.3 GB at the moment it is made.
_SMALLEST_DISCRIMINATOR = {"msstft_discriminator_params": {"filters": 1}}


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, where its weights came from, and what identifies them.

    Attributes:
        tag: name that goes into the files it codes.
        fingerprint: 64 hex digits.
    """

    model: "BSCodec"
    tag: str
    fingerprint: str
    checkpoint: Path


def load_model(name: str, device: str = "auto") -> LoadedModel:
    """Find, build and load a model in evaluation mode.

    Args:
        name: a packaged tag, folder, checkpoint or hub name (see ``resolver``).
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ModelError: one line; the weights have to fit the config exactly.
    """
    where = choose_device(device)
    files = find_model(name)
    model = build_model(files.config)
    del model.discriminator
    load_generator(model, files.checkpoint)
    digest = fingerprint(
        (_GENERATOR + key, value.float().numpy())
        for key, value in model.generator.state_dict().items()
    )
    return LoadedModel(model.to(where).eval(), files.tag, digest, files.checkpoint)


def choose_device(device: str) -> "torch.device":
    """Return the device of that name. Raises ModelError where there is none."""
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device '{device}': expected auto, cpu or cuda") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device '{device}': torch sees no such GPU here")
    return chosen


def read_codec_conf(config: Path) -> dict:
    """Return ``codec_conf`` of a training ``config.yaml``. Raises ModelError for another codec."""
    contents = read_yaml(config)
    if contents.get("codec") not in CODEC_NAMES:
        raise ModelError(f"{config}: codec is {contents.get('codec')!r}: expected 'bscodec'")
    conf = contents.get("codec_conf")
    if not isinstance(conf, dict):
        raise ModelError(f"{config}: codec_conf is missing")
    return conf


def build_model(config: Path) -> "BSCodec":
    """Build the untrained model of a training ``config.yaml`` with the smallest discriminator."""
    from espnet2.gan_codec.bscodec.bscodec import BSCodec
    from espnet2.gan_codec.bscodec.model.config import check_discriminator_params
    from espnet2.gan_codec.bscodec.model.discriminators import check_discriminator_keys

    conf = read_codec_conf(config)
    discriminator = conf.get("discriminator_params", {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about mel filters, which only training uses
            check_discriminator_params(discriminator)
            check_discriminator_keys(discriminator)
            return BSCodec(**{**conf, "discriminator_params": _SMALLEST_DISCRIMINATOR})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{config}: {error}") from error


def load_generator(model: "BSCodec", checkpoint: Path) -> None:
    """Fill the generator of ``model`` with the weights of ``checkpoint``, all of them.

    Discriminators and losses, which coding does not need, may be in the file or not. Half
    precision is taken as it is and widened. Raises ModelError in one line.
    """
    version = _version(checkpoint)
    own = model.generator.state_dict()
    _check_fit(own, _generator_weights(checkpoint, model.generator), checkpoint)
    for names in _groups(own):
        weights = _generator_weights(checkpoint, model.generator)
        for name in names:
            value = own[name].copy_(weights[name])
            if value.is_floating_point() and not value.isfinite().all():
                raise ModelError(f"{checkpoint}: weight {_GENERATOR}{name} is not finite")
        del weights  # what was read of a mapped file counts as memory until it is closed
    if _version(checkpoint) != version:
        raise ModelError(f"{checkpoint}: was written to while it was read")


def _generator_weights(
    checkpoint: Path, generator: "torch.nn.Module"
) -> "dict[str, torch.Tensor]":
    from espnet2.gan_codec.bscodec.model.state_dict import adapt_state_dict

    weights = {
        name.removeprefix(_GENERATOR): value
        for name, value in read_weights(checkpoint).items()
        if name.startswith(_GENERATOR)
    }
    if not weights:
        raise ModelError(f"{checkpoint}: holds no weights called {_GENERATOR}*")
    adapt_state_dict(generator, weights, "")
    return weights


def _check_fit(
    own: "Mapping[str, torch.Tensor]", weights: "Mapping[str, torch.Tensor]", checkpoint: Path
) -> None:
    """Raise ModelError unless names and shapes are the same."""
    problems = [
        f"size mismatch for {_GENERATOR}{name}: {tuple(weights[name].shape)}, "
        f"expected {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if problems:
        problem = _first_few(problems, "; ")
        raise ModelError(f"{checkpoint}: does not fit its config.yaml: {problem}")
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own]
    for what, names in (("lacks", missing), ("also has", unexpected)):
        if names:
            listed = _first_few([_GENERATOR + name for name in names], ", ")
            raise ModelError(f"{checkpoint}: does not fit its config.yaml: it {what} {listed}")


def _groups(weights: "Mapping[str, torch.Tensor]", most: int = 64 << 20) -> Iterator[list[str]]:
    """Names in their order, so many that their weights take ``most`` bytes at least."""
    group, size = [], 0
    for name, value in weights.items():
        group.append(name)
        size += value.nbytes
        if size >= most:
            yield group
            group, size = [], 0
    if group:
        yield group


def _version(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _first_few(items: list[str], separator: str, count: int = 3) -> str:
    more = f"{separator}and {len(items) - count} more" if len(items) > count else ""
    return separator.join(items[:count]) + more


def read_weights(checkpoint: Path) -> "dict[str, torch.Tensor]":
    """Read a state dict of tensors on the CPU, ESPnet's prefix ``codec.`` taken off.

    Raises:
        ModelError: damaged, not a plain state dict, or a pickle that holds more than tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below
            if checkpoint.suffix == ".safetensors":
                weights = load_file(checkpoint)
            else:
                # mapped, so that weights that nobody takes are never in memory
                mmap = zipfile.is_zipfile(checkpoint)  # torch's oldest format is none
                weights = torch.load(checkpoint, "cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{checkpoint}: damaged, or holds more than tensors, which is refused since it "
            "could run code"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{checkpoint}: damaged or no checkpoint: {reason}") from error
    if not isinstance(weights, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        mapping = isinstance(weights, Mapping)
        keys = (
            _first_few(list(map(str, weights)), ", ") if mapping else f"a {type(weights).__name__}"
        )
        raise ModelError(
            f"{checkpoint}: holds {keys} instead of one model's weights: give the checkpoint "
            "of an epoch, such as valid.mel_loss.best.pth, not a trainer's state"
        )
    return {name.removeprefix(_ESPNET_PREFIX): value for name, value in weights.items()}


def fingerprint(weights: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256 of weights as ``docs/bitstream.md`` defines it, as 64 hex digits.

    Names, shapes and values as 32-bit floats count, so a model has the same fingerprint in
    every file format and precision that holds the same values.
    """
    digest = hashlib.sha256()
    for name, value in sorted(weights, key=lambda item: item[0]):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(np.ascontiguousarray(value, dtype="<f4").tobytes())
    return digest.hexdigest()
