"""Read the tensors of a checkpoint, without running or believing anything that is in it."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.hub.error import ModelError

if TYPE_CHECKING:
    import torch

ESPNET_PREFIX = "codec."


def read_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read a state dict of tensors on the CPU, ESPnet's prefix ``codec.`` taken off.

    Raises:
        ModelError: in one line: damaged, not a plain state dict of dense tensors, or a pickle
            that holds more than tensors.
    """
    import torch
    from safetensors.torch import load_file

    require_regular(checkpoint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below
            if checkpoint.suffix == ".safetensors":
                weights: Any = load_file(checkpoint)
            else:
                # mapped, so that weights that nobody takes are never in memory
                mmap = _is_torch_archive(checkpoint)  # torch's oldest format is none
                weights = torch.load(checkpoint, "cpu", weights_only=True, mmap=mmap)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{checkpoint}: damaged, or holds more than tensors, which is refused since it "
            "could run code"
        ) from error
    except MemoryError as error:
        raise ModelError(f"{checkpoint}: needs more memory than there is") from error
    except OSError as error:
        raise ModelError(f"{checkpoint}: {error.strerror or error}") from error
    except Exception as error:  # damage shows in many ways: in zip, pickle and tensor metadata
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ModelError(f"{checkpoint}: damaged or no checkpoint: {reason}") from error
    return _checked(weights, checkpoint)


def _is_torch_archive(checkpoint: Path) -> bool:
    """Whether the file is a zip archive. Raises ModelError for one that torch would not write."""
    if not zipfile.is_zipfile(checkpoint):
        return False
    with zipfile.ZipFile(checkpoint) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ModelError(f"{checkpoint}: a compressed archive: unpack it first")
    return True


def _checked(weights: Any, checkpoint: Path) -> dict[str, torch.Tensor]:
    """Return the weights by the generator's names, or raise ModelError."""
    import torch

    if not isinstance(weights, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        what = f"a {type(weights).__name__}"
        if isinstance(weights, Mapping):
            what = first_few([str(key)[:80] for key in weights], ", ")
        raise ModelError(
            f"{checkpoint}: holds {what} instead of one model's weights: give the checkpoint "
            "of an epoch, such as valid.mel_loss.best.pth, not a trainer's state"
        )
    for name, value in weights.items():
        if not isinstance(name, str):
            raise ModelError(f"{checkpoint}: a weight is called {name!r:.80}: expected a string")
        plain = value.layout == torch.strided and value.device.type == "cpu"
        plain = plain and not (value.is_nested or value.is_quantized or value.is_complex())
        if not plain:
            kind = f"{value.dtype} on {value.device.type}, {value.layout}"
            raise ModelError(
                f"{checkpoint}: weight {escaped(name[:80])}: expected real numbers, got {kind}"
            )
    return {name.removeprefix(ESPNET_PREFIX): value for name, value in weights.items()}


def first_few(items: list[str], separator: str, count: int = 3) -> str:
    """Join the first ``count`` items, and say how many more there are."""
    shown = [escaped(item[:200]) for item in items[:count]]
    more = f"{separator}and {len(items) - count} more" if len(items) > count else ""
    return separator.join(shown) + more


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
