"""The index of a whole folder of tokens, made once all shards are complete.

``meta.json`` is written last: where it is, the folder is complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from espnet2.gan_codec.bscodec.format.atomic import atomic_write, remove_abandoned
from espnet2.gan_codec.bscodec.format.tables import formula_note, read_tsv, tsv_line
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.manifest import Manifest
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError
from espnet2.gan_codec.bscodec.tokens.shards import (
    FOLDER,
    ShardIndex,
    data_path,
    index_path,
    index_paths,
    open_finished,
    read_index,
    with_digests,
)

META = "meta.json"
INDEX = "index.tsv"
SKIPPED = "skipped.tsv"
_TABLES = (INDEX, "codec.scp", "utt2num_frames", "utt2num_samples", SKIPPED)


@dataclass
class Totals:
    """Of a folder of tokens."""

    utterances: int = 0
    skipped: int = 0
    frames: int = 0
    samples: int = 0

    def add(self, index: ShardIndex) -> None:
        """Count a shard."""
        self.utterances += len(index.rows)
        self.skipped += len(index.skipped)
        self.frames += sum(row.frames for row in index.rows)
        self.samples += sum(row.samples for row in index.rows)


def check_folder(folder: Path, metadata: TokenMetadata, first: int = 1, step: int = 1) -> None:
    """Raise TokensError if shards are there that do not belong to this run.

    The first one that is there is looked at, and every ``step``-th number from ``first`` on: a
    job's own. If each of thousands of jobs read all shards, that would be billions of files.

    Raises OSError for a folder in a shard's place, which no file can take.
    """
    for place, (number, path) in enumerate(index_paths(folder)):
        if place and (number - first) % step:
            continue
        try:
            difference = metadata.difference(read_index(path).metadata)
        except IsADirectoryError:
            raise
        except (TokensError, OSError):
            continue  # damaged: made again
        if difference:
            raise TokensError(
                f"{path}: is there already, but has {difference} (another folder, or --force)"
            )


def stored_shard_size(folder: Path) -> int | None:
    """Return the utterances per shard of what is there already."""
    for _, path in index_paths(folder):
        try:
            return read_index(path).metadata.shard_size
        except (TokensError, OSError):
            continue
    return None


def mark_incomplete(folder: Path) -> None:
    """Take the index's validity away: shards are about to change."""
    (folder / META).unlink(missing_ok=True)


def write_index(
    folder: Path,
    manifest: Manifest,
    metadata: TokenMetadata,
    digests: bool,
    progress: Callable[[], object] = lambda: None,
) -> Totals:
    """Join all shards; remove what else is in their folder: old shards, and half-written files.

    Args:
        digests: read the codes of all shards and compare their digests.
        progress: is called after every shard.

    Raises:
        IncompleteError: a shard is not complete.
        OSError: the folder cannot be written to.
    """
    mark_incomplete(folder)
    totals, shards = Totals(), manifest.shards
    with ExitStack() as stack:
        tables = [_open(stack, folder / name) for name in _TABLES]
        for shard, digest in with_digests(folder, shards, metadata.format, digests):
            index = open_finished(folder, shard, metadata, digest)
            totals.add(index)
            _write_rows(tables, folder, shard.number, index)
            progress()
    _remove_others(folder, manifest, metadata)
    meta = {**metadata.to_json(), "shards": len(manifest.shards), **vars(totals)}
    with atomic_write(folder / META) as temporary:
        temporary.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return totals


def skipped_note(folder: Path) -> str | None:
    """Return a line about names in ``skipped.tsv`` that a spreadsheet would compute, if any."""
    path = folder / SKIPPED
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return formula_note(path, (text for row in read_tsv(file) for text in row[:2]))


def _open(stack: ExitStack, path: Path) -> TextIO:
    temporary = stack.enter_context(atomic_write(path))
    file = open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n")
    return stack.enter_context(file)


def _write_rows(tables: list[TextIO], folder: Path, number: int, index: ShardIndex) -> None:
    table, places, frames, samples, skipped = tables
    form = index.metadata.format
    path = os.fspath(data_path(folder, number, form))
    for row in index.rows:
        table.write(f"{row.name}\t{number}\t{row.offset}\t{row.frames}\t{row.samples}\n")
        places.write(f"{row.name} {FORMATS[form].place(path, row.offset)}\n")
        frames.write(f"{row.name} {row.frames}\n")
        samples.write(f"{row.name} {row.samples}\n")
    for entry in index.skipped:
        skipped.write(tsv_line([entry.name, entry.path, entry.reason]))


def _remove_others(folder: Path, manifest: Manifest, metadata: TokenMetadata) -> None:
    ours = {index_path(folder, shard.number).name for shard in manifest.shards}
    ours |= {data_path(folder, shard.number, metadata.format).name for shard in manifest.shards}
    remove_abandoned(folder / FOLDER)  # by processes that were killed
    with os.scandir(folder / FOLDER) as entries:
        for entry in entries:
            left = entry.name.startswith((".codes.", "codes."))  # no file of anybody else's
            if left and entry.name not in ours and not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
