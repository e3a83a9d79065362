"""Stock ESPnet's codec task, made to load models safely: tensors alone, strictly, clear errors.

Stock ESPnet unpickles checkpoints, which can run code, and lets weights be missing. The plug-in
has :func:`secure` replace two methods of ``GANCodecTask``, for all of its codecs.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
import yaml

from espnet2.gan_codec.bscodec.hub.checkpoint import load_generator
from espnet2.gan_codec.bscodec.hub.config_file import CODEC_NAMES, coding_conf, read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.weights import first_few, read_weights

TRUST = "ESPNET_BSCODEC_TRUST"
_FORCE, _FORCE_NOT = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_ESPNET_ALLOW = "ESPNET_ALLOW_UNSAFE_TORCH_LOAD"
_COMMANDS = "espnet2.bin.gan_codec_"
_READERS = ("espnet2/fileio/read_text.py", "espnet2/train/iterable_dataset.py")


def secure(task: Any) -> None:
    """Let a ``GANCodecTask`` build from files by :func:`build_from_file`, and train safely.

    In ESPnet's codec commands, errors of the input are printed in one line from now on.
    """
    stock_worker = task.main_worker.__func__

    @functools.wraps(stock_worker)
    def main_worker(cls: Any, args: argparse.Namespace) -> None:
        with tensors_only():
            stock_worker(cls, args)

    task.main_worker = classmethod(main_worker)
    task.build_model_from_file = classmethod(build_from_file)
    if _command():
        sys.excepthook = _print_error


@contextmanager
def tensors_only() -> Iterator[None]:
    """Have every ``torch.load``, in new processes too, refuse what is more than tensors.

    Numbers and times, which are in a trainer's state, are taken as well.

    The environment variable ``ESPNET_BSCODEC_TRUST=1`` lets such files be unpickled.

    Raises:
        ModelError: a file was refused.
    """
    trusted = os.environ.get(TRUST) == "1"
    settings = {_ESPNET_ALLOW: "1"} if trusted else {_FORCE: "1", _FORCE_NOT: "0"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with torch.serialization.safe_globals(_of_reports()):
            yield
    except (pickle.UnpicklingError, RuntimeError) as error:
        # ESPnet's own refusal, since 202609, is a RuntimeError
        refused = isinstance(error, pickle.UnpicklingError)
        if not refused and type(error).__name__ != "UnsafeLoadRefusedError":
            raise
        raise ModelError(
            "--init_param or --resume: a checkpoint is damaged or holds more than tensors, which "
            f"is refused since it could run code; {TRUST}=1 loads one that you trust"
        ) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _of_reports() -> list[Any]:
    """What the statistics of a trainer's state are made of."""
    from numpy._core.multiarray import scalar

    dtypes = {type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "b1")}
    return [scalar, np.dtype, *dtypes, datetime.timedelta]


def build_from_file(
    cls: Any,
    config_file: str | os.PathLike | None = None,
    model_file: str | os.PathLike | None = None,
    device: str = "cpu",
) -> tuple[Any, argparse.Namespace]:
    """Build a codec for coding and load its weights: ``build_model_from_file`` of the task.

    Of a BSCodec, settings and weights of the training are left aside.

    Args:
        cls: the task.
        config_file: a training's config.yaml; None: the one beside ``model_file``.
        model_file: a checkpoint of tensors; None: the model stays untrained.
        device: where the model is put.

    Returns:
        ESPnet's model, and the training's arguments.

    Raises:
        ModelError: in one line.
        OSError: a file cannot be read.
    """
    if config_file is None:
        if model_file is None:
            raise ModelError("neither a config nor a model file is given")
        config_file = Path(model_file).with_name("config.yaml")
    # a packaged config has our own keys only
    defaults = cls.get_parser().parse_args(["--output_dir", ""])
    args = argparse.Namespace(**{**vars(defaults), **read_yaml(Path(config_file))})
    ours = getattr(args, "codec", None) in CODEC_NAMES
    if ours and model_file is not None:
        args.codec_conf = coding_conf(Path(config_file), vars(args))
    model = cls.build_model(args)
    if model_file is not None and ours:
        load_generator(model.codec, Path(model_file))
    elif model_file is not None:
        _load_strictly(model.codec, Path(model_file))
    return model.to(device), args


def _load_strictly(codec: Any, checkpoint: Path) -> None:
    """Load all weights that coding needs: those of the discriminator may be missing."""
    try:
        found = codec.load_state_dict(read_weights(checkpoint), strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{checkpoint}: does not fit its config.yaml: {reason}") from error
    for what, names in (("lacks", found.missing_keys), ("also has", found.unexpected_keys)):
        if names := [name for name in names if name.startswith("generator.")]:
            listed = first_few(names, ", ")
            raise ModelError(f"{checkpoint}: does not fit its config.yaml: it {what} {listed}")


def _command() -> str:
    """The codec command of ESPnet's that this process runs, or an empty string."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", "") or ""
    return name.rpartition(".")[2] if name.startswith(_COMMANDS) else ""


def _print_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what is the input's fault in one line, all else with its traceback."""
    if isinstance(error, (ModelError, OSError, yaml.YAMLError)) or (
        # a config's or a file's: their classes are in rooms of which this one knows nothing
        kind.__name__ in ("ConfigError", "LibsndfileError", "AudioError")
        or _is_of_lists(error, trace)
    ):
        print(f"{_command()}: error: {_reason(error)}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_of_lists(error: BaseException, trace: TracebackType | None) -> bool:
    """Whether ESPnet's readers of lists, as wav.scp, refuse one: by a plain RuntimeError."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # what a process that reads data met is a text with its traceback
    where = trace.tb_frame.f_code.co_filename + str(error) if trace is not None else ""
    return isinstance(error, RuntimeError) and any(name in where for name in _READERS)


def _reason(error: BaseException) -> str:
    """What an error says, in one line; of one that a process that reads data met, the last."""
    try:
        text = str(error)
    except TypeError:  # soundfile's, built anew by torch from a text
        text = str(error.args[0])
    if "Traceback (most recent call last)" in text:
        text = re.split(r"\n(?=[\w.]+: )", text)[-1]
    return " ".join(text.split())
