"""``bscodec models``: the models that are known by name."""

import argparse
import dataclasses
import json

from espnet2.gan_codec.bscodec.cli.jobs import print_line

HELP = "list the models that are known by name"
DESCRIPTION = """
List the models that come with the package, the published ones, to be fetched, and those that the
cache of the Hugging Face hub holds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the answer."""
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print a line a model; return the exit status."""
    from espnet2.gan_codec.bscodec.hub.cards import list_models

    cards = list_models()
    if args.json:
        print(json.dumps([dataclasses.asdict(card) for card in cards]))
        return 0
    width = max([26, *(len(card.tag) for card in cards)])
    print_line(f"{'tag':<{width}} {'kbit/s':>6}  {'bands (Hz)':<28} {'fingerprint':<11}  weights")
    for card in cards:
        edges = "-".join(f"{edge:g}" for edge in card.edges)
        size = f", {card.num_bytes / 1e6:.1f} MB" if card.num_bytes else ""
        print_line(
            f"{card.tag:<{width}} {card.bitrate / 1000:>6.2f}  {edges:<28} "
            f"{card.fingerprint or '-':<11}  {card.source}{size}"
        )
    return 0
