"""Several bands at a time, each on a thread of its own.

A matrix product that is shared by threads ends with all waiting for the last one, and what lies
between two products is often done by one thread while the others wait.  Bands need nothing of
each other: with a thread a band only the end of the last one is waited for.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

MIN_FRAMES = 24  # frames of a chunk, below which a thread takes longer to start than it saves
MAX_FRAMES = 100  # frames of a chunk, above which the first layers' signals leave the cache

Push = Callable[[torch.Tensor, bool], torch.Tensor]

_section = threading.Lock()  # one caller at a time has threads for its bands
_callers: list[int] = []  # torch's numbers of threads of those who compute with fewer now
_for_bands: ContextVar[int | None] = ContextVar("threads for bands", default=None)


def schedule(
    jobs: int, frames: int, device: torch.device, max_frames: int | None = MAX_FRAMES
) -> tuple[int, int]:
    """Return how many threads to use and in how many chunks to do each of ``jobs`` bands.

    Args:
        jobs: number of bands.
        frames: of codes that each has to do, roughly.
        device: of the signals.
        max_frames: frames of a chunk; ``None``: each band whole.
    """
    if device.type != "cpu":
        return 1, 1
    threads = _for_bands.get() or torch.get_num_threads()
    chunks = 1 if max_frames is None else max(1, -(-frames // max_frames))
    if jobs < threads or frames < MIN_FRAMES * threads:
        threads = 1
    elif jobs % threads and max_frames is not None:
        # so many chunks that all threads end at the same time
        chunks = -(-chunks // threads) * threads
    return threads, chunks


def max_frames(dtype: torch.dtype | None) -> int:
    """Return MAX_FRAMES for signals of a precision: twice as many in half of the memory."""
    return MAX_FRAMES * (2 if dtype == torch.bfloat16 else 1)


@contextmanager
def at_most_threads(count: int, for_bands: int | None = None) -> Iterator[None]:
    """Compute with no more threads of torch's, and give the caller's number back.

    Where the cores are busy with something else, every product shared by threads waits for the
    slowest; a small network gains little from sharing where they are not.

    Args:
        count: threads of a product.
        for_bands: threads that bands may have nonetheless, as far as the caller has them: those
            wait for each other once.
    """
    before = _callers_threads()
    token = _for_bands.set(min(before, for_bands or count))
    try:
        with _lowered(before, count):
            yield
    finally:
        _for_bands.reset(token)


def _callers_threads() -> int:
    """Return torch's number of threads as the calling thread has it outside of this module.

    A new thread takes over the number last set by any thread, which may be a lowered one.
    """
    own = torch.get_num_threads()
    return own if _for_bands.get() else max([own, *_callers[:1]])


@contextmanager
def _lowered(before: int, count: int) -> Iterator[None]:
    """Have torch compute with at most ``count`` threads, and then with ``before`` again."""
    callers = _callers
    callers.append(before)
    try:
        torch.set_num_threads(min(before, count))
        yield
    finally:
        torch.set_num_threads(before)
        callers.remove(before)


def _begin_anew() -> None:
    """In a forked process: what other threads were about to do is not done there."""
    global _section, _callers
    _section, _callers = threading.Lock(), []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def run_bands(
    pushes: Sequence[Push],
    inputs: Sequence[torch.Tensor],
    frames: int,
    last: bool,
    max_frames: int | None = MAX_FRAMES,
) -> list[torch.Tensor]:
    """Give each band's input (B, C, n) to its function; return what each one gives (..., m).

    Args:
        pushes: ``push`` of the bands' streams: of a chunk of the input and whether it is the last.
        inputs: of the bands.
        frames: of codes that each input holds, roughly.
        last: whether the signals end here.
        max_frames: frames of a chunk; ``None``: each band whole.
    """
    threads, chunks = schedule(len(pushes), frames, inputs[0].device, max_frames)
    outputs: list[list[torch.Tensor]] = [[] for _ in pushes]
    jobs = [
        _by_chunks(push, x.tensor_split(chunks, dim=2), last, output)
        for push, x, output in zip(pushes, inputs, outputs, strict=True)
    ]
    run_jobs(jobs[::-1], threads)  # the highest band is the widest: begun last, it ends alone
    return [parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1) for parts in outputs]


def _by_chunks(
    push: Push, chunks: Sequence[torch.Tensor], last: bool, outputs: list[torch.Tensor]
) -> Iterator[None]:
    for i, chunk in enumerate(chunks, 1):
        outputs.append(push(chunk, last and i == len(chunks)))
        yield


def run_jobs(jobs: Sequence[Iterator[None]], threads: int) -> None:
    """Exhaust all iterators, several at a time, each by steps interleaved with the others'.

    In the threads gradients are off, and torch has one thread for each of them.  While one
    caller has the threads, another one's jobs run one after the other.
    """
    waiting = deque(jobs)
    errors: list[BaseException] = []
    section = _section
    if threads == 1 or not section.acquire(blocking=False):
        _work(waiting, errors, torch.is_inference_mode_enabled())
    else:
        arguments = (waiting, errors, torch.is_inference_mode_enabled())
        helpers = [threading.Thread(target=_work, args=arguments) for _ in range(threads - 1)]
        try:
            with _lowered(_callers_threads(), 1):
                try:
                    for helper in helpers:
                        helper.start()
                    _work(*arguments)
                except BaseException as error:  # an interrupt: the helpers stop after their step
                    errors.append(error)
                finally:
                    for helper in helpers:
                        if helper.ident is not None:
                            helper.join()
        finally:
            section.release()
    if errors:
        raise errors[0]


def _work(waiting: deque[Iterator[None]], errors: list[BaseException], inference: bool) -> None:
    done = object()
    with torch.inference_mode(inference), torch.no_grad():  # modes are a thread's own
        while waiting and not errors:
            try:
                job = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                if next(job, done) is not done:
                    waiting.append(job)
            except BaseException as error:
                errors.append(error)
