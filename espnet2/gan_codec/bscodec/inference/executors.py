"""Work on many items: where it is done, and the one loop that has it done.

A place gives a ``concurrent.futures.Executor``: of processes on this machine here, of a cluster's
workers in ``cluster``. A function that is submitted must be importable, and what it needs besides
its item it loads once a process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, islice
from queue import SimpleQueue
from typing import Protocol, TypeVar

from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
from espnet2.gan_codec.bscodec.inference.process_pool import CPU, process_pool

T = TypeVar("T")
R = TypeVar("R")


class PlaceError(ValueError):
    """Devices, processes or a cluster that cannot be had, or are lost: one line."""


class WorkerDied(BrokenExecutor):
    """The process that did an item died of it, and so did those that tried it again."""


class Place(Protocol):
    """Where functions run.

    Attributes:
        window: calls that are submitted at a time, running ones and those that wait.
        device: for models, in the processes there: "cpu" or "cuda".
    """

    @property
    def window(self) -> int: ...

    @property
    def device(self) -> str: ...

    def executor(self) -> AbstractContextManager[Executor]:
        """Return an executor; leaving by an error drops what it has not done."""

    def alone(self) -> Place:
        """Return a place with a single process, for what may have killed one."""


@dataclass(frozen=True)
class Processes:
    """Processes on this machine, each with one thread and a device of its own."""

    devices: tuple[str, ...]

    @property
    def window(self) -> int:
        return 2 * len(self.devices)

    @property
    def device(self) -> str:
        return self.devices[0].partition(":")[0]

    @property
    def is_here(self) -> bool:
        """Whether it is one CPU process, which may as well be this one."""
        return self.devices == (CPU,)

    def executor(self) -> AbstractContextManager[Executor]:
        return process_pool(self.devices)

    def alone(self) -> Processes:
        return Processes(self.devices[:1])

    def at_most(self, count: int) -> Processes:
        """Return no more processes than there are items for."""
        return Processes(self.devices[: max(1, count)])


def processes(device: str, count: int | None) -> Processes:
    """Return processes with a device each: every GPU once, or the CPU as often as wanted.

    Args:
        device: "auto" (GPUs if there are any), "cpu" or "cuda".
        count: their number; None: as many as there are GPUs, or CPUs this process may use.

    Raises:
        PlaceError: no GPU, or fewer of them than processes.
    """
    import torch

    gpus = torch.cuda.device_count() if device != CPU and torch.cuda.is_available() else 0
    if not gpus and device == "cuda":
        raise PlaceError("device 'cuda': torch sees no such GPU here")
    if not gpus:
        return Processes((CPU,) * (count or available_cpus()))
    if count and count > gpus:
        raise PlaceError(f"{count} processes: one per GPU, and there are {gpus}")
    return Processes(tuple(f"cuda:{index}" for index in range(count or gpus)))


def run_all(
    place: Place, function: Callable[[T], R], items: Iterable[T]
) -> Generator[tuple[T, Future[R]]]:
    """Call a function with each item; yield item and future as they come to be done.

    Where a process dies (a library crashed, memory ran out), those items that it may have died of
    are done again, each in a process of its own. Close the generator to end early: what is queued
    is dropped, and processes end.

    Args:
        items: are asked for as there is room for them.

    Yields:
        An item, and a future that is done: with a result, with an exception of the function's,
        with ``WorkerDied``, or with ``PlaceError`` where the place is lost.

    Raises:
        PlaceError: the place cannot be had.
    """
    waiting = iter(items)
    while True:
        suspects = []
        for item, future in _until_a_process_dies(place, function, waiting):
            if isinstance(future.exception(), BrokenProcessPool):
                suspects.append(item)
            else:
                yield item, future
        if not suspects:
            return
        for suspect in suspects:
            for item, future in _until_a_process_dies(place.alone(), function, iter([suspect])):
                if isinstance(future.exception(), BrokenProcessPool):
                    future = _failed(WorkerDied("a process died, perhaps for want of memory"))
                yield item, future


def _until_a_process_dies(
    place: Place, function: Callable[[T], R], waiting: Iterator[T]
) -> Generator[tuple[T, Future[R]]]:
    """Yield what ``run_all`` does, and take no more items once a process has died."""
    running: dict[Future[R], T] = {}
    done: SimpleQueue[Future[R]] = SimpleQueue()
    broken = False
    first = list(islice(waiting, 1))
    if not first:
        return  # without processes that nobody needs
    items = chain(first, waiting)
    with place.executor() as executor:
        while True:
            room = 0 if broken else place.window - len(running)
            for item in islice(items, room):
                try:
                    future = executor.submit(function, item)
                except BrokenProcessPool as error:
                    broken, future = True, _failed(error)
                running[future] = item
                future.add_done_callback(done.put)
                if broken:
                    break
            if not running:
                return
            future = done.get()
            broken |= isinstance(future.exception(), BrokenProcessPool)
            yield running.pop(future), future


def _failed(error: BaseException) -> Future:
    future: Future = Future()
    future.set_exception(error)
    return future
