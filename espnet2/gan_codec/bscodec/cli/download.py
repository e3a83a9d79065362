"""``bscodec download``: a model onto this machine."""

import argparse

from espnet2.gan_codec.bscodec.cli.jobs import print_line
from espnet2.gan_codec.bscodec.cli.usage import folder_name

HELP = "fetch a model and say where it is"
DESCRIPTION = """
Fetch a model from the Hugging Face hub into its cache, from where MODEL is found without a network
from then on, or copy its config.yaml and weights into DIR. What has come already is not fetched
again, unless it is not what the hub has any more. The files are checked against the hub's hashes,
and not loaded.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and where to put it."""
    parser.add_argument("model", metavar="MODEL", help="a tag, or owner/name[/model][@revision]")
    parser.add_argument("-o", "--output", metavar="DIR", type=folder_name, help="made if needed")
    parser.add_argument("--force", action="store_true", help="replace other files in DIR")


def run(args: argparse.Namespace) -> int:
    """Print a line a file; return the exit status."""
    from espnet2.gan_codec.bscodec.hub.download import download_model

    files = download_model(args.model, args.output, args.force)
    for path in (files.config, files.checkpoint):
        size = path.stat().st_size
        print_line(f"{path} ({size / 1e6:.1f} MB)" if size >= 1e5 else f"{path} ({size} bytes)")
    return 0
