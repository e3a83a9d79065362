#!/usr/bin/env python3
"""Score decoded audio, as a stage of a recipe calls it: another name of ``bscodec score``."""

import sys

from espnet2.bin.bscodec import main as bscodec


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    return bscodec(["score", *(sys.argv[1:] if cmd is None else cmd)])


if __name__ == "__main__":
    sys.exit(main())
