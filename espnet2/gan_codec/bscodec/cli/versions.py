"""``bscodec versions``: what was tested, and what is here."""

import argparse

from espnet2.gan_codec.bscodec.cli.jobs import print_line, print_text

HELP = "show which versions were tested, and which are here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Print the table and a line about this environment; return the exit status."""
    from espnet2.gan_codec.bscodec import versions
    from espnet2.gan_codec.scoring.markdown import markdown_table

    rows = [[*map(str, spans), how] for spans, how in versions.TESTED]
    rows.append([*["other"] * len(versions.NAMES), "not tested"])
    head = (*versions.NAMES, "tested with")
    print_text("\n".join(markdown_table(head, rows, len(head), padded=True)))
    here = versions.installed()
    pairs = zip(versions.NAMES, here, strict=True)
    names = ", ".join(" ".join(pair) for pair in pairs)
    print_line(f"here: {names}: {versions.how_tested(here) or 'not tested together'}")
    return 0
