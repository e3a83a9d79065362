"""Processes for work on many files: each on one thread, and none outlives the first process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

CONTEXT = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB")  # each with _NUM_THREADS


@contextmanager
def process_pool(
    processes: int, start: Callable[..., None], *args: Any
) -> Iterator[ProcessPoolExecutor]:
    """Give an executor whose processes compute with one thread each.

    On leaving normally all submitted work is done; on an error, an interrupt or ``close()`` of a
    generator that waits inside, what is queued is dropped and the processes get SIGTERM.

    Args:
        processes: their number.
        start: called with ``args`` in every process before its first work; both picklable.
    """
    before = set(multiprocessing.active_children())
    with one_thread_each():
        pool = ProcessPoolExecutor(processes, CONTEXT, _start, (start, args))
        try:
            yield pool
            pool.shutdown()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have processes that start now compute with one thread."""
    names = [f"{library}_NUM_THREADS" for library in THREADS]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(start: Callable[..., None], args: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the first process's matter
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        start(*args)
    except SystemExit as end:  # terminated meanwhile; the executor would print it
        os._exit(int(end.code or 0))


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
