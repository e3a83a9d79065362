"""One run of the benchmark: which systems, at which lengths, how often."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.bound import Work, flops_a_second, matrix_peak
from benchmarks.measure import DIRECTIONS, costs, speeds
from benchmarks.results import NAIVE, Results
from benchmarks.systems import System
from benchmarks.table import length
from espnet2.gan_codec.bscodec.demo.info import processor
from espnet2.gan_codec.bscodec.inference.products import NotSupported
from espnet2.gan_codec.scoring.metrics.metric import UnavailableError


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        lengths: seconds of audio at which all systems are interleaved.
        repeats: runs of each at each of these lengths, of which the shortest counts.
        growth: seconds of audio at which some systems are run alone, once each.
        limit: seconds that such a run may be expected to take; longer ones are available out.
    """

    lengths: tuple[float, ...] = (1, 10)
    repeats: tuple[int, ...] = (5, 2)
    growth: tuple[float, ...] = (1, 10, 60, 600)
    limit: float = 60

    def with_an_hour(self) -> Settings:
        """The same, and an hour of audio for what can code it in half an hour each way."""
        return dataclasses.replace(self, growth=(*self.growth, 3600), limit=1800)


QUICK = Settings(lengths=(0.5, 1), repeats=(1, 1), growth=(1, 4), limit=10)


def benchmark(
    systems: Sequence[System], settings: Settings, threads: int, log: Callable[[str], object]
) -> Results:
    """Measure all systems that can be had.

    Memory comes first: every system, direction and length in a process of its own, while this
    one has no model yet.

    Args:
        threads: that torch may use.
        log: receives a line for each step.
    """
    results = Results(facts=_machine(threads, settings))
    available: list[System] = []
    for system in systems:
        lengths = settings.growth if system.long else settings.lengths[-1:]
        log(f"memory: {system.name}")
        try:
            if not system.inside:
                system.make()  # only to see whether it can be had
            for direction in DIRECTIONS if system.inside else ():
                results.costs += costs(system, direction, lengths, settings.limit, threads)
            available.append(system)
        except (UnavailableError, NotSupported) as error:
            results.left_out[system.name] = str(error)
            log(f"available out: {error}")
    coders = [(system, system.make()) for system in available]
    for seconds, repeats in zip(settings.lengths, settings.repeats, strict=True):
        log(f"speed: {len(coders)} systems interleaved, {seconds:g} s of audio, {repeats} times")
        results.speeds += speeds(coders, seconds, repeats, threads)
    log("the machine's peak")
    results.peak = matrix_peak(threads)
    results.work = [
        Work(system.model, direction, flops_a_second(coder, direction))
        for system, coder in coders
        if system.form == NAIVE
        for direction in DIRECTIONS
    ]
    return results


def _machine(threads: int, settings: Settings) -> dict[str, object]:
    packages = ("espnet", "torch", "encodec", "descript-audio-codec")
    versions = [f"{name} {_version(name)}" for name in packages if _version(name)]
    return {
        "machine": f"{processor()}, {os.cpu_count()} CPUs",
        "threads": f"{threads} (Opus: 1)",
        "software": ", ".join([f"Python {platform.python_version()}", *versions]),
        "runs": ", ".join(
            f"{repeats} of {length(seconds)}"
            for seconds, repeats in zip(settings.lengths, settings.repeats, strict=True)
        ),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
