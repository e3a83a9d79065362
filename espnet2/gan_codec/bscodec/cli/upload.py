"""``bscodec upload``: a model to the Hugging Face hub."""

import argparse
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.jobs import print_line

HELP = "give a model to the Hugging Face hub"
DESCRIPTION = """
Commit a model's config.yaml, weights and meta.yaml to the repository owner/name, which is made if
needed, with a card where it has none. Stock ESPnet and bscodec then find the model by that name.
The token is the one of `hf auth login`, or HF_TOKEN.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the repository, and what the card is to say."""
    parser.add_argument(
        "model", metavar="MODEL", help="a tag, folder, checkpoint or hub name, or a packed .zip"
    )
    parser.add_argument("repository", metavar="OWNER/NAME", help="made if needed")
    parser.add_argument(
        "--pull-request", action="store_true", help="propose it to a repository that is there"
    )
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    card = parser.add_argument_group("card")
    card.add_argument("--new-card", action="store_true", help="replace a card that is there")
    card.add_argument("--license", metavar="ID", help="for the card, such as cc-by-4.0")
    card.add_argument(
        "--dataset", metavar="ID", action="append", default=[], help="for the card; repeatable"
    )
    card.add_argument("--scores", metavar="FILE", help="a summary.json, for the card")


def run(args: argparse.Namespace) -> int:
    """Print the address of the commit or pull request; return the exit status."""
    from espnet2.gan_codec.bscodec.hub.model_card import CardOptions, read_scores
    from espnet2.gan_codec.bscodec.hub.upload import upload_model

    scores = read_scores(Path(args.scores)) if args.scores else None
    address = upload_model(
        args.model,
        args.repository,
        CardOptions(args.license, args.dataset, scores),
        pull_request=args.pull_request,
        private=args.private,
        new_card=args.new_card,
    )
    print_line(f"uploaded: {address}")
    return 0
