"""What command lines have in common: the model, its device, and the error of one."""

import argparse


class UsageError(ValueError):
    """A command line that makes no sense: exit status 2."""


def add_model_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add ``--model``, ``--device`` and ``--precision``."""
    parser.add_argument(
        "--model",
        default=default,
        metavar="MODEL",
        help="a tag (see 'bscodec models'), an experiment folder, a checkpoint beside its "
        "config.yaml, or a Hugging Face name",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        help="bf16: large products in bfloat16, faster where the processor or GPU has units for "
        "it, and a little different (default: the model's config's, else float32)",
    )
