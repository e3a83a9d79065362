"""Comparing the speed of functions on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def best_times(
    functions: Sequence[Callable[[], object]],
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the shortest of each function's running times, in seconds.

    The functions are interleaved, so that a slow spell of the machine meets all of them.

    Args:
        functions: called without arguments.
        repeats: runs of each one.
        clock: ``time.thread_time`` leaves out the time that other processes had, and is right
            only where one thread does the work.
    """
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            start = clock()
            function()
            best[i] = min(best[i], clock() - start)
    return best
