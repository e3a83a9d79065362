#!/usr/bin/env python3
"""Upload a packed model to the Hugging Face hub: `bscodec upload` for stage 9.

    upload_model.py exp/codec_x/codec_x_valid.mel_loss.best.zip my-name/my-codec

The archive's files are uploaded as they are packed, so that ESPnet's model zoo finds the model by
the repository's name, with a card. The token is that of `hf auth login`, or HF_TOKEN.
"""

from __future__ import annotations

import argparse
import sys

from espnet2.gan_codec.bscodec.cli import upload


def main(argv: list[str] | None = None) -> int:
    """Upload; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    upload.add_arguments(parser)
    try:
        return upload.run(parser.parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"upload_model.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
