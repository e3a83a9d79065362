#!/usr/bin/env python3
"""Upload a packed model to the Hugging Face hub.

    upload_model.py exp/codec_x/codec_x_valid.mel_loss.best.zip my-name/my-codec

The archive's files are uploaded as they are packed, so that ESPnet's model zoo finds the model by
the repository's name, with a short README.md. The token is that of `hf auth login`, or HF_TOKEN.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

CARD = """\
---
tags:
- espnet
- audio
- audio-codec
library_name: espnet
---

A neural audio codec, trained with ESPnet and espnet-bscodec. The config and the weights are named
in `meta.yaml`.
"""


class UploadError(Exception):
    """What is missing or went wrong, in one line."""


def upload(archive: Path, repository: str) -> str:
    """Upload a packed model; returns the address of the repository.

    Raises:
        UploadError: no archive, no token, or the hub refuses or cannot be reached.
    """
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise UploadError(f"huggingface_hub is not installed: {error}") from None
    if not zipfile.is_zipfile(archive):
        raise UploadError(f"{archive}: no packed model; stage 8 makes it")
    if not get_token():
        raise UploadError("no Hugging Face token; run `hf auth login` or set HF_TOKEN")
    api = HfApi()
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as packed:
            if "meta.yaml" not in packed.namelist():
                raise UploadError(f"{archive}: no meta.yaml in it; stage 8 makes a packed model")
            packed.extractall(folder)
        Path(folder, "README.md").write_text(CARD, encoding="utf-8")
        try:
            address = api.create_repo(repository, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder)
        except Exception as error:  # the hub's, the network's: many kinds, reported alike
            reason = " ".join(str(error).split())
            raise UploadError(f"{repository}: upload failed: {reason}") from None
    return str(address)


def main(argv: list[str] | None = None) -> int:
    """Upload; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("repository")
    args = parser.parse_args(argv)
    try:
        print(f"uploaded: {upload(args.archive, args.repository)}")
    except (UploadError, OSError) as error:
        print(f"upload_model.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
