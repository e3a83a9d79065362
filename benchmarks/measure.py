"""Time and memory: times of all systems interleaved, memory of each in a process of its own."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import memory
from benchmarks.coders import Coder
from benchmarks.systems import System
from benchmarks.timing import best_times

DIRECTIONS = ("encode", "decode")
NOISE_SECONDS = 10
MEMORY_SHARE = 0.8  # of what is available, that a run may be expected to take


@dataclass(frozen=True)
class Speed:
    """The shortest time in which a system coded a signal, in one direction.

    Attributes:
        audio_seconds: length of the signal.
        elapsed_seconds: the shortest of several runs, interleaved with those of all other systems.
    """

    model: str
    form: str
    direction: str
    audio_seconds: float
    elapsed_seconds: float


@dataclass(frozen=True)
class ResourceUse:
    """What one run in a fresh process took; or why there was none.

    Attributes:
        elapsed_seconds: of the run, after a first one of a second of audio or less.
        base_bytes: resident when the model was built and nothing had been run.
        peak_bytes: the most that was resident after that.
        left_out: why it was not run, in a few words; then the three above are None.
    """

    model: str
    form: str
    direction: str
    audio_seconds: float
    elapsed_seconds: float | None = None
    base_bytes: int | None = None
    peak_bytes: int | None = None
    left_out: str | None = None


def noise(seconds: float, sampling_rate: int) -> Iterator[np.ndarray]:
    """Yield white noise, -20 dB of full scale, in blocks of up to a second: (n,) float32.

    It repeats every NOISE_SECONDS, so that its own cost is none, whatever the length.
    """
    generator = np.random.default_rng(0)
    size = (NOISE_SECONDS, sampling_rate)
    block = 0.1 * generator.standard_normal(size, dtype=np.float32)
    left = round(seconds * sampling_rate)
    for second in itertools.cycle(block):
        yield second[:left]
        left -= len(second)
        if left <= 0:
            return


def task(coder: Coder, direction: str, seconds: float) -> Callable[[], object]:
    """Return a function that codes a signal of that length once, and keeps no audio."""
    if direction == "encode":
        return lambda: coder.encode(noise(seconds, coder.sampling_rate))
    codes = coder.codes(seconds)
    return lambda: deque(coder.decode(codes), maxlen=0)


def speeds(
    coders: Sequence[tuple[System, Coder]], seconds: float, repeats: int, threads: int
) -> list[Speed]:
    """Time all systems in both directions, interleaved, in this process.

    Args:
        coders: the systems, built.
        seconds: of audio.
        repeats: runs of each, of which the shortest counts.
        threads: that torch may use.
    """
    torch.set_num_threads(threads)
    rows = [(system, coder, direction) for system, coder in coders for direction in DIRECTIONS]
    times = best_times([task(coder, way, seconds) for _, coder, way in rows], repeats)
    return [
        Speed(system.model, system.form, way, seconds, taken)
        for (system, _, way), taken in zip(rows, times, strict=True)
    ]


def costs(
    system: System, direction: str, lengths: Sequence[float], limit: float, threads: int
) -> Iterator[ResourceUse]:
    """Run a system at growing lengths, each in a fresh process, as far as can be afforded.

    Args:
        lengths: seconds of audio, growing.
        limit: seconds that one run may be expected to take.
        threads: that torch may use.
    """
    last: ResourceUse | None = None
    for seconds in lengths:
        about = system.model, system.form, direction, seconds
        reason = last and (last.left_out or _too_much(last, seconds, limit))
        if reason:
            yield ResourceUse(*about, left_out=reason)
        else:
            last = _run(system, about, threads)
            yield last


def _too_much(last: ResourceUse, seconds: float, limit: float) -> str | None:
    """Say what is too much about a longer run, taking its costs to grow with the length."""
    growth = seconds / last.audio_seconds
    expected = last.elapsed_seconds * growth
    if expected > limit:
        return f"about {expected:.0f} s"
    free = memory.available()
    if None not in (free, last.peak_bytes, last.base_bytes):
        added = (last.peak_bytes - last.base_bytes) * growth
        if added > MEMORY_SHARE * free:
            return f"about {added / 1e9:.0f} GB"
    return None


def _run(system: System, about: tuple[str, str, str, float], threads: int) -> ResourceUse:
    # a fork of a server that has imported all and run nothing: quick to start, and clean
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            done = pool.submit(_in_fresh_process, system, *about[2:], threads).result()
        except BrokenProcessPool:
            return ResourceUse(*about, left_out="killed, probably for its memory")
    return ResourceUse(*about, *done)


def _in_fresh_process(
    system: System, direction: str, seconds: float, threads: int
) -> tuple[float, int | None, int | None]:
    torch.set_num_threads(threads)
    coder = system.make()
    first, run = task(coder, direction, min(seconds, 1)), task(coder, direction, seconds)
    base = memory.resident()
    memory.reset_peak()
    first()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start, base, memory.peak()
