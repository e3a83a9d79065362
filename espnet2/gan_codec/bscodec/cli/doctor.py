"""``bscodec doctor``: what is here, what is missing, and how to get it."""

import argparse
import os
import sys

from espnet2.gan_codec.bscodec.cli.jobs import naming_stdout, print_line

HELP = "show what is here, what is missing, and how to get it"
DESCRIPTION = (
    "Look at versions, the plug-in, ESPnet, devices, programs, extras, downloaded models, and "
    "code a second of audio. Nothing is downloaded or written. The exit status is 1 if something "
    "fails that every use needs."
)
COLOURS = {"ok": "32", "lacks": "33", "FAILS": "31"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Print a line a finding; return the exit status."""
    from espnet2.gan_codec.bscodec.doctor import FAILS, check_environment

    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    failed = False
    for finding in check_environment():
        failed |= finding.status == FAILS
        status = f"{finding.status:<5}"
        if coloured:
            status = f"\x1b[{COLOURS[finding.status]}m{status}\x1b[0m"
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        with naming_stdout():
            print(f"{status}  ", end="")
        print_line(f"{finding.topic:<10}  {finding.text}{remedy}")
    return int(failed)
