"""Build a model from its ``config.yaml`` and load its weights, strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet2.gan_codec.bscodec.format.files import file_version
from espnet2.gan_codec.bscodec.hub.config_file import coding_conf
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import find_model
from espnet2.gan_codec.bscodec.hub.weights import fingerprint, first_few, read_weights

if TYPE_CHECKING:
    import torch

    from espnet2.gan_codec.bscodec.bscodec import BSCodec

_GENERATOR = "generator."
# How torch's layers and ours say that they cannot be built.
_IMPOSSIBLE = (
    *(TypeError, ValueError, RuntimeError, AssertionError),
    *(ArithmeticError, LookupError, MemoryError),
)


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, where its weights came from, and what identifies them.

    Attributes:
        tag: name that goes into the files it codes.
        fingerprint: 64 hex digits.
    """

    model: BSCodec
    tag: str
    fingerprint: str
    checkpoint: Path


def load_model(name: str, device: str = "auto", precision: str | None = None) -> LoadedModel:
    """Find, build and load a model in evaluation mode.

    Args:
        name: a packaged tag, folder, checkpoint or hub name (see ``resolver``).
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        precision: of the large products, ``float32`` or ``bf16``; None: what the config says,
            which is float32 unless its ``inference_precision`` is another.

    Raises:
        ModelError: one line; the weights have to fit the config exactly, and the device has to
            have units for a precision that is asked for.
    """
    from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads

    where = choose_device(device)
    check_precision(precision, where)
    files = find_model(name)
    with at_most_threads(1):  # small operations, whose threads would wait for a busy core
        model = build_model(files.config, files.checkpoint)
        del model.discriminator
        if precision is not None:
            model.generator.backend.precision = precision
        load_generator(model, files.checkpoint)
        digest = fingerprint(
            (_GENERATOR + key, value.float().numpy())
            for key, value in model.generator.state_dict().items()
        )
    return LoadedModel(model.to(where).eval(), files.tag, digest, files.checkpoint)


def choose_device(device: str) -> torch.device:
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


def check_precision(precision: str | None, device: torch.device) -> None:
    """Raise ModelError unless products of that precision are of use on the device."""
    from espnet2.gan_codec.bscodec.inference.half_precision import has_bf16_units
    from espnet2.gan_codec.bscodec.model.config import BF16, PRECISIONS

    if precision not in (None, *PRECISIONS):
        raise ModelError(f"precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    if precision == BF16 and not has_bf16_units(device):
        raise ModelError(
            f"precision {BF16}: the device '{device}' has no units for it (a processor needs "
            "AVX-512 BF16 or AMX): use float32"
        )


def build_model(config: Path, checkpoint: Path | None = None) -> BSCodec:
    """Build the model of a training ``config.yaml`` with the smallest discriminator.

    Args:
        checkpoint: what is to be loaded: its shapes have to fit, which is seen before memory is
            taken for them, and the model's weights are not initialised.

    Raises:
        ModelError: in one line.
    """
    import torch

    from espnet2.gan_codec.bscodec.bscodec import BSCodec
    from espnet2.gan_codec.bscodec.model.config import GeneratorConfig, check_sampling_rate
    from espnet2.gan_codec.bscodec.model.generator import BSCodecGenerator

    conf = coding_conf(config)
    try:
        if checkpoint is None:
            return BSCodec(**conf)
        rate = conf["sampling_rate"]
        check_sampling_rate(rate)
        with torch.device("meta"), _uninitialised():
            plan = GeneratorConfig.from_dict(conf["generator_params"], rate)
            planned = BSCodecGenerator(plan, rate)
        weights = _generator_weights(checkpoint, planned)
        _check_fit(planned.state_dict(), weights, checkpoint)
        with _uninitialised():
            return BSCodec(**conf)
    except ModelError:
        raise
    except _IMPOSSIBLE as error:
        reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        raise ModelError(f"{config}: {reason}") from error


def _uninitialised() -> Any:
    """Return a context in which new modules' weights are whatever is in memory.

    On the meta device nothing is computed then: its arithmetic would import torch's compiler.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class Uninitialised(TorchFunctionMode):
        def __torch_function__(
            self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
        ) -> Any:
            kwargs = kwargs or {}
            if getattr(func, "__module__", "") == "torch.nn.init":
                return args[0] if args else kwargs["tensor"]
            if func is torch.norm_except_dim:  # of weight normalisation
                weight, _, dim = args
                return weight.new_empty([n if i == dim else 1 for i, n in enumerate(weight.shape)])
            return func(*args, **kwargs)

    return Uninitialised()


def load_generator(model: BSCodec, checkpoint: Path) -> None:
    """Fill the generator of ``model`` with the weights of ``checkpoint``, all of them.

    Discriminators and losses, which coding does not need, may be in the file or not. Half
    precision is taken as it is and widened. Raises ModelError in one line.
    """
    version = file_version(checkpoint)
    own = model.generator.state_dict()
    _check_fit(own, _generator_weights(checkpoint, model.generator), checkpoint)
    for names in _groups(own):
        weights = _generator_weights(checkpoint, model.generator)
        for name in names:
            value = own[name].copy_(weights[name])
            if value.is_floating_point() and not value.isfinite().all():
                raise ModelError(f"{checkpoint}: weight {_GENERATOR}{name} is not finite")
        del weights  # what was read of a mapped file counts as memory until it is closed
    if file_version(checkpoint) != version:
        raise ModelError(f"{checkpoint}: was written to while it was read")


def _generator_weights(checkpoint: Path, generator: torch.nn.Module) -> dict[str, torch.Tensor]:
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
    own: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], checkpoint: Path
) -> None:
    """Raise ModelError unless names and shapes are the same."""
    problems = [
        f"size mismatch for {_GENERATOR}{name}: {tuple(weights[name].shape)}, "
        f"expected {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if problems:
        problem = first_few(problems, "; ")
        raise ModelError(f"{checkpoint}: does not fit its config.yaml: {problem}")
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own]
    for what, names in (("lacks", missing), ("also has", unexpected)):
        if names:
            listed = first_few([_GENERATOR + name for name in names], ", ")
            raise ModelError(f"{checkpoint}: does not fit its config.yaml: it {what} {listed}")


def _groups(weights: Mapping[str, torch.Tensor], max_bytes: int = 64 << 20) -> Iterator[list[str]]:
    """Names in their order, so many that their weights take ``max_bytes`` bytes at least."""
    group, size = [], 0
    for name, value in weights.items():
        group.append(name)
        size += value.nbytes
        if size >= max_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group
