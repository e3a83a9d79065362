#!/usr/bin/env python3
"""Put a model where ESPnet's commands can use it: EXPDIR/codec_<tag>_raw_fs24000.

    fetch_model.py bscodec-mini exp

The model is named as for the bscodec command: a packaged tag, a folder, a checkpoint beside its
config.yaml, or a Hugging Face repository. Its weights are written as ESPnet's <tag>.pth, the
settings that its config leaves out are filled in with ESPnet's defaults. The last line that is
printed is the folder. What is there already is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import yaml
from check_model import check
from corpus_sets import write_text

from espnet2.gan_codec.bscodec.hub.config_file import read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.export import espnet_defaults
from espnet2.gan_codec.bscodec.hub.resolver import find_model
from espnet2.gan_codec.bscodec.hub.weights import read_weights


def fetch(name: str, expdir: Path) -> Path:
    """Find a model and lay out its folder; raises ModelError in one line."""
    files = find_model(name)
    folder = expdir / f"codec_{files.tag}_raw_fs24000"
    checkpoint = folder / f"{files.tag}.pth"
    if checkpoint.is_file():
        return folder
    check(files.config, files.checkpoint)
    config = {**espnet_defaults(), **read_yaml(files.config)}
    weights = {f"codec.{key}": value for key, value in read_weights(files.checkpoint).items()}
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.yaml").is_file():
        text = yaml.safe_dump(config, sort_keys=False)
        write_text(folder / "config.yaml", text.splitlines())
    save(weights, checkpoint)
    return folder


def save(weights: dict, path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    import torch

    part = path.with_name(f".{path.name}.part")
    torch.save(weights, part)
    os.replace(part, path)


def main(argv: list[str] | None = None) -> int:
    """Fetch one model; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("expdir", type=Path)
    args = parser.parse_args(argv)
    try:
        print(fetch(args.name, args.expdir))
    except (ModelError, OSError) as error:
        print(f"fetch_model.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
