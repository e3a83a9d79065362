"""Processes on this machine: each on one thread, and none outlives the first process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

CONTEXT = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB")  # each with _NUM_THREADS
CPU = "cpu"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
GRACE_SECONDS = 10.0  # from SIGTERM to SIGKILL
_TERMINATED = 128 + signal.SIGTERM


class _Pool(ProcessPoolExecutor):
    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        return super().submit(_call, function, *args, **kwargs)


@contextmanager
def process_pool(devices: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    """Give an executor whose processes compute with one thread each.

    On leaving normally all submitted work is done; on an error, an interrupt or ``close()`` of a
    generator that waits inside, what is queued is dropped and the processes get SIGTERM, and
    SIGKILL where that does not end them.

    Args:
        devices: one a process: "cpu", or "cuda:N", which is then the only GPU it sees.
    """
    queue = CONTEXT.SimpleQueue()
    for device in devices:
        queue.put(device)
    before = set(multiprocessing.active_children())
    with one_thread_each():
        pool = _Pool(len(devices), CONTEXT, _start, (queue,))
        try:
            yield pool
            pool.shutdown()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            ours = set(multiprocessing.active_children()) - before
            for process in ours:
                process.terminate()
            for process in ours:
                # the executor takes a SystemExit that comes between two calls for an answer
                if not wait([process.sentinel], GRACE_SECONDS):
                    process.kill()


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


def _start(queue: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the first process's matter
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # remove what is half written
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        device = queue.get()
    except SystemExit:  # terminated meanwhile; the executor would print it
        os._exit(_TERMINATED)
    if device != CPU:
        seen = os.environ.get(_VISIBLE)
        number = int(device.rpartition(":")[2])
        os.environ[_VISIBLE] = seen.split(",")[number] if seen else str(number)


def _call(function: Callable, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except SystemExit:  # terminated and cleaned up; the executor would go on with the next call
        os._exit(_TERMINATED)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
