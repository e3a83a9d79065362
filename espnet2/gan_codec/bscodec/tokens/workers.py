"""The processes that make shards: one per CPU, or one per GPU."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet2.gan_codec.bscodec.inference.process_pool import CONTEXT, process_pool
from espnet2.gan_codec.bscodec.inference.thread_pool import one_thread
from espnet2.gan_codec.bscodec.tokens.coding import BatchPolicy, make_shard
from espnet2.gan_codec.bscodec.tokens.manifest import Manifest, Shard
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Work:
    """What all processes have to know.

    Attributes:
        model: name to load it by.
        folder: of the tokens.
        manifest: what is encoded.
        metadata: of the codes.
        batch_seconds: as of ``BatchPolicy``; None: what suits the device.
        salvage: code what there is of cut and damaged files.
    """

    model: str
    folder: Path
    manifest: Manifest
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


def choose_devices(device: str, processes: int | None) -> list[str]:
    """Return the device of each process: every GPU once, or the CPU as often as wanted.

    Args:
        device: "auto" (GPUs if there are any), "cpu" or "cuda".
        processes: their number; None: as many as there are GPUs, or CPUs this process may use.

    Raises:
        TokensError: no GPU, or fewer of them than processes.
    """
    import torch

    gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if not gpus and device == "cuda":
        raise TokensError("device 'cuda': torch sees no such GPU here")
    if not gpus:
        return ["cpu"] * (processes or len(os.sched_getaffinity(0)))
    if processes and processes > gpus:
        raise TokensError(f"{processes} processes: one per GPU, and there are {gpus}")
    return [f"cuda:{index}" for index in range(processes or gpus)]


def make_shards(
    work: Work, shards: list[Shard], devices: list[str], codec: Any, progress: Callable
) -> Iterator[ShardResult]:
    """Make shards; yield what became of each, as they come to be ready.

    Args:
        shards: the shards to make.
        devices: one of each process; a single process is this one.
        codec: the model, on the CPU.
        progress: called with utterances and seconds of audio as they are done.

    Raises:
        TokensError: a process died, or the list has changed.
        OSError: a shard cannot be written.
    """
    if len(devices) == 1 and devices[0] == "cpu":
        policy = BatchPolicy.of("cpu", work.batch_seconds)
        with one_thread():  # as the processes do, so that rounding is the same
            for shard in shards:
                yield _make_one(work, shard, codec, policy, progress)
    else:
        yield from _make_in_processes(work, shards, devices, progress)


def _make_one(
    work: Work,
    shard: Shard,
    codec: Any,
    policy: BatchPolicy,
    progress: Callable[[int, float], object],
) -> ShardResult:
    lines = work.manifest.read(shard)
    done = make_shard(
        codec, work.folder, shard, lines, work.metadata, policy, progress, work.salvage
    )
    return ShardResult(*done)


def _make_in_processes(
    work: Work, shards: list[Shard], devices: list[str], progress: Callable
) -> Iterator[ShardResult]:
    queue = CONTEXT.SimpleQueue()
    for device in devices:
        queue.put(device)
    done = CONTEXT.Array("d", 2)  # utterances and seconds
    reported = [0.0, 0.0]

    def report_progress() -> None:
        now = done[:]
        progress(int(now[0] - reported[0]), now[1] - reported[1])
        reported[:] = now

    try:
        with process_pool(len(devices), _start, work, queue, done) as pool:
            running: set[Future] = {pool.submit(_run, shard) for shard in shards}
            while running:
                ready, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
                report_progress()
                for future in ready:
                    yield future.result()
    except BrokenProcessPool as error:
        raise TokensError(
            "a process died, perhaps for want of memory: run again to go on, with fewer (--nj)"
        ) from error


@dataclass
class _State:
    """Of a process that makes shards."""

    work: Work
    codec: Any
    policy: BatchPolicy
    done: Any

    def progress(self, utterances: int, seconds: float) -> None:
        with self.done.get_lock():
            self.done[0] += utterances
            self.done[1] += seconds


_state: _State | Exception | None = None


def _start(work: Work, queue: Any, done: Any) -> None:
    """Begin a process: its device, its model; what goes wrong is reported with the first shard."""
    global _state
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # remove what is half written
    from espnet2.gan_codec.bscodec.codec import Codec

    device = queue.get()
    try:
        codec = Codec.from_pretrained(work.model, device, work.metadata.precision)
        codec.drop_decoder()
        if codec.fingerprint != work.metadata.fingerprint:
            raise TokensError(f"{work.model}: has changed during the run")
        _state = _State(work, codec, BatchPolicy.of(device, work.batch_seconds), done)
    except (ValueError, OSError) as error:
        _state = error


def _run(shard: Shard) -> ShardResult:
    if isinstance(_state, Exception):
        raise _state
    assert _state is not None  # the executor has called _start
    try:
        return _make_one(_state.work, shard, _state.codec, _state.policy, _state.progress)
    except SystemExit:  # terminated and cleaned up; the executor would go on with the next shard
        os._exit(143)
