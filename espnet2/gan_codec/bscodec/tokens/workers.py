"""Shards as work for processes: what each of them is told, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from espnet2.gan_codec.bscodec.codec import Codec, encoder_of
from espnet2.gan_codec.bscodec.inference.executors import Place, Processes, run_all
from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads
from espnet2.gan_codec.bscodec.tokens.coding import BatchPolicy, make_shard
from espnet2.gan_codec.bscodec.tokens.manifest import Shard, read_lines
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError


@dataclass(frozen=True)
class Work:
    """What all processes have to know.

    Attributes:
        model: name to load it by.
        folder: of the tokens.
        list: what is encoded, as ``Manifest.path``.
        metadata: of the codes.
        batch_seconds: as of ``BatchPolicy``; None: what suits the device.
        salvage: code what there is of cut and damaged files.
    """

    model: str
    folder: Path
    list: Path
    metadata: TokenMetadata
    batch_seconds: float | None = None
    salvage: bool = False


@dataclass(frozen=True)
class ShardResult:
    """What became of the utterances of a shard: how many, and seconds of audio encoded.

    ``salvaged`` has a line for each that is not whole, ``warnings`` one for each whose average of
    channels loses much.
    """

    encoded: int
    skipped: int
    seconds: float
    salvaged: list[str]
    warnings: list[str]


Progress = Callable[[int, float], object]


def make_shards(
    work: Work, shards: list[Shard], place: Place, codec: Codec, progress: Progress
) -> Generator[ShardResult]:
    """Make shards; yield what became of each, as they come to be ready.

    Args:
        shards: the shards to make.
        place: where; a single CPU process is this one.
        codec: the model, on the CPU.
        progress: called with utterances and seconds of audio as they are done: of a shard at
            once, where that is made elsewhere.

    Raises:
        TokensError: a process died again and again, or the list has changed.
        PlaceError: the place cannot be had, or is lost.
        OSError: a shard cannot be written.
    """
    if isinstance(place, Processes) and place.is_here:
        with at_most_threads(1):  # as the processes do, so that rounding is the same
            for shard in shards:
                yield _make_one(work, codec, "cpu", shard, progress)
        return
    with closing(run_all(place, partial(_make_there, work, place.device), shards)) as results:
        for _, future in results:
            try:
                result = future.result()
            except BrokenExecutor as error:
                raise TokensError(f"{error}: run again to go on, with fewer (--nj)") from error
            progress(result.encoded + result.skipped, result.seconds)
            yield result


def _make_there(work: Work, device: str, shard: Shard) -> ShardResult:
    """Make a shard in another process, which keeps the model for the next one."""
    metadata = work.metadata
    codec = encoder_of(work.model, device, metadata.fingerprint, metadata.precision)
    return _make_one(work, codec, device, shard)


def _make_one(
    work: Work, codec: Codec, device: str, shard: Shard, progress: Progress | None = None
) -> ShardResult:
    lines = read_lines(work.list, shard)
    policy = BatchPolicy.of(device, work.batch_seconds)
    done = make_shard(
        codec, work.folder, shard, lines, work.metadata, policy, progress, work.salvage
    )
    return ShardResult(*done)
