"""Batches prefetched by a thread beside the training step.

ESPnet cuts and shuffles chunks in the training process itself, and a small codec's step on a GPU
is not much longer than that takes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

import torch

from espnet2.iterators.abs_iter_factory import AbsIterFactory

DEPTH = 3  # batches that wait

Batch = tuple[list[str], dict[str, torch.Tensor]]


class PrefetchIterFactory(AbsIterFactory):
    """A factory's batches, in its order, from a thread; in pinned memory where there is a GPU."""

    def __init__(self, factory: AbsIterFactory) -> None:
        self.factory = factory

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> _Batches:
        """Return the batches of an epoch."""
        return _Batches(self.factory.build_iter(epoch, shuffle))


class _Batches:
    def __init__(self, source: Iterable[Batch]) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]  # a TypeError where the source knows no length, as ESPnet expects

    def __iter__(self) -> Iterator[Batch]:
        ready: queue.Queue[tuple[Batch | None, BaseException | None]] = queue.Queue(DEPTH)
        stop = threading.Event()

        def put(batch: Batch | None, error: BaseException | None = None) -> None:
            while not stop.is_set():
                try:
                    return ready.put((batch, error), timeout=0.2)
                except queue.Full:
                    pass

        def fill() -> None:
            try:
                for batch in self.source:
                    put(_pinned(batch))
                    if stop.is_set():
                        return
                put(None)
            except BaseException as error:  # it is the training's, which waits for this batch
                put(None, error)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        try:
            while True:
                batch, error = ready.get()
                if error is not None:
                    raise error
                if batch is None:
                    return
                yield batch
        finally:
            stop.set()
            thread.join()


def _pinned(batch: Batch) -> Batch:
    if not torch.cuda.is_available():
        return batch
    names, values = batch
    return names, {key: value.pin_memory() for key, value in values.items()}
