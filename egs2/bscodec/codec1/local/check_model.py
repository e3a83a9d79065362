#!/usr/bin/env python3
"""Check that a checkpoint is plain weights and fits its config, before ESPnet loads it.

    check_model.py exp/codec_x/config.yaml exp/codec_x/x.pth

ESPnet's inference unpickles whatever a checkpoint holds and leaves out weights that do not fit; a
wrong file would run code, or decode to noise without a word. Of codecs other than BSCodec only the
first is checked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from espnet2.gan_codec.bscodec.hub.checkpoint import build_model, load_generator
from espnet2.gan_codec.bscodec.hub.config_file import CODEC_NAMES, read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.weights import read_weights


def check(config: Path, checkpoint: Path) -> None:
    """Raise ModelError for weights that are not this config's, or no plain weights."""
    if read_yaml(config).get("codec") in CODEC_NAMES:
        load_generator(build_model(config, checkpoint), checkpoint)
    else:
        read_weights(checkpoint)


def main(argv: list[str] | None = None) -> int:
    """Check one model; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("checkpoint", type=Path)
    args = parser.parse_args(argv)
    try:
        check(args.config, args.checkpoint)
    except (ModelError, OSError) as error:
        print(f"check_model.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
