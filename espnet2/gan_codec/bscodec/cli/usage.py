"""What command lines have in common: the model, its device, and the error of one."""

import argparse
from typing import Any


class UsageError(ValueError):
    """A command line that makes no sense: exit status 2."""


def add_model_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add ``--model``, ``--device`` and ``--precision``."""
    model: Any = parser.add_argument(
        "--model",
        default=default,
        metavar="MODEL",
        help="a tag (see 'bscodec models'), an experiment folder, a checkpoint beside its "
        "config.yaml, or a Hugging Face name",
    )
    model.completer = complete_model
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        help="bf16: large products in bfloat16, faster where the processor or GPU has units for "
        "it, and a little different (default: the model's config's, else float32)",
    )


def folder_name(text: str) -> str:
    """Return the name of a folder; an empty one, as of a variable that is not set, is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a folder, got an empty one")
    return text


def complete_model(prefix: str, **_: Any) -> list[str]:
    """What a shell may complete ``--model prefix`` to: tags, files and folders."""
    from argcomplete.completers import FilesCompleter

    from espnet2.gan_codec.bscodec.hub.resolver import PUBLISHED_MODELS, packaged_models

    tags = [*packaged_models(), *PUBLISHED_MODELS]
    return [tag for tag in tags if tag.startswith(prefix)] + list(FilesCompleter()(prefix))
