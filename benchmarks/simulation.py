"""Lists of utterances without audio: made up, then planned, checked and merged.

The indexes of shards are made up as well, beside empty files of codes. Planning, the check of
finished shards, the merge and the first look-up are the real ones, each in a fresh process.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import memory
from espnet2.gan_codec.bscodec.tokens.index import check_folder, write_index
from espnet2.gan_codec.bscodec.tokens.manifest import LIST, Manifest, open_manifest, read_lines
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata
from espnet2.gan_codec.bscodec.tokens.reader import read_tokens
from espnet2.gan_codec.bscodec.tokens.shards import (
    FOLDER,
    Row,
    open_finished,
    with_digests,
    write_shard,
)

UTTERANCE_SECONDS = 36  # so that 10^8 are a million hours
FOLDER_FILES = 1000  # of the made-up audio, by its paths


@dataclass(frozen=True)
class Step:
    """One step of a run: CPU seconds, seconds by the clock, and peak resident bytes."""

    name: str
    cpu: float
    clock: float
    peak: int | None


@dataclass(frozen=True)
class Run:
    """The steps with a list of ``utterances``, and what is on disk after the last one."""

    utterances: int
    shards: int
    steps: list[Step]
    sizes: dict[str, int]  # bytes by kind of file


def simulate(folder: Path, utterances: int, plan_only: bool = False) -> Run:
    """Run all steps below ``folder``, which is made and removed."""
    (folder / FOLDER).mkdir(parents=True)
    path = folder / LIST
    with open(path, "w") as file:
        file.writelines(made_up_lines(utterances))
    steps: list[Step] = []
    manifest: Manifest = _in_fresh_process("plan", steps, open_manifest, path, folder, None)
    if not plan_only:
        metadata = made_up_metadata(manifest.shard_size)
        _in_fresh_process("shards", [], _write_shards, folder, manifest, metadata)
        for name, function in (("check", _check), ("merge", _merge), ("look-up", _look_up)):
            _in_fresh_process(name, steps, function, folder, manifest, metadata)
    sizes = _sizes(folder)
    shutil.rmtree(folder)
    return Run(utterances, len(manifest.shards), steps, sizes)


def made_up_lines(utterances: int) -> Iterator[str]:
    """Yield lines of a list, 62 bytes each."""
    for index in range(utterances):
        part = index // FOLDER_FILES
        yield f"corpus-{index:09d} /data/corpus/{part:06d}/corpus-{index:09d}.flac\n"


def made_up_metadata(shard_size: int) -> TokenMetadata:
    """Return metadata of the size and kind of ``bscodec-mini``'s."""
    edges = (0.0, 120.0, 360.0, 900.0, 2400.0, 12000.0)
    return TokenMetadata(
        model="bscodec-mini",
        fingerprint="0" * 64,
        sampling_rate=24000,
        hop_length=400,
        bands=tuple(zip(edges[:-1], edges[1:], strict=True)),
        codebook_sizes=(8192, 8192, 8192, 8192, 4096),
        bitrate=3840.0,
        format="ark",
        dtype="float32",
        shard_size=shard_size,
    )


def _write_shards(folder: Path, manifest: Manifest, metadata: TokenMetadata) -> None:
    samples = UTTERANCE_SECONDS * metadata.sampling_rate
    frames = samples // metadata.hop_length
    size = 15 + 16 + frames * len(metadata.bands) * 4  # a mark, a name, and the codes
    for shard in manifest.shards:
        with write_shard(folder, shard, metadata) as output:  # whose file of codes stays empty
            for index, (name, _) in enumerate(read_lines(manifest.path, shard)):
                output.rows.append(Row(name, 16 + index * size, frames, samples))


def _check(folder: Path, manifest: Manifest, metadata: TokenMetadata) -> None:
    check_folder(folder, metadata)
    for shard, digest in with_digests(folder, manifest.shards, metadata.format):
        open_finished(folder, shard, metadata, digest)


def _merge(folder: Path, manifest: Manifest, metadata: TokenMetadata) -> None:
    totals = write_index(folder, manifest, metadata, digests=True)
    if (totals.utterances, totals.skipped) != (manifest.count, 0):
        raise RuntimeError(f"{totals.utterances} utterances, not {manifest.count}")


def _look_up(folder: Path, manifest: Manifest, metadata: TokenMetadata) -> None:
    name = f"corpus-{manifest.count // 2:09d}"
    read_tokens(folder, verify=False).num_samples(name)


def _in_fresh_process(name: str, steps: list[Step], function: Callable, *arguments: object) -> Any:
    """Return what a function does in a process of its own; append its costs to ``steps``."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        result, *costs = pool.submit(_measured, function, arguments).result()
    steps.append(Step(name, *costs))
    return result


def _measured(function: Callable, arguments: tuple) -> tuple[Any, float, float, int | None]:
    memory.reset_peak()
    clock, cpu = time.monotonic(), time.process_time()
    result = function(*arguments)
    return result, time.process_time() - cpu, time.monotonic() - clock, memory.peak()


def _sizes(folder: Path) -> dict[str, int]:
    """Return bytes of the list, of the shards' indexes together, and of the tables."""
    with os.scandir(folder / FOLDER) as entries:
        indexes = sum(entry.stat().st_size for entry in entries)
    with os.scandir(folder) as entries:
        files = {e.name: e.stat().st_size for e in entries if e.is_file()}
    listed = files.pop(LIST)
    return {"list": listed, "indexes": indexes, "tables": sum(files.values())}
