"""Several bands at a time, each on a thread of its own.

A matrix product that is shared by threads ends with all waiting for the last one, and what lies
between two products is often done by one thread while the others wait.  Bands need nothing of
each other: with a thread a band only the end of the last one is waited for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

import torch

from espnet2.gan_codec.bscodec.engine.stream import Stream

FEW_FRAMES = 24  # frames of a piece, below which a thread takes longer to start than it saves
MANY_FRAMES = 150  # frames of a piece, above which the first layers' signals leave the cache

_section = threading.Lock()  # torch's number of threads is one for the process


def plan(jobs: int, frames: int, device: torch.device) -> tuple[int, int]:
    """Return how many threads to use and in how many pieces to do each of ``jobs`` bands.

    Args:
        jobs: number of bands.
        frames: of codes that each has to do, roughly.
        device: of the signals.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    pieces = max(1, -(-frames // MANY_FRAMES))
    if jobs < threads or frames < FEW_FRAMES * threads:
        threads = 1
    elif jobs % threads:  # so many pieces that all threads end at the same time
        pieces = -(-pieces // threads) * threads
    return threads, pieces


def push_all(
    streams: Sequence[Stream], inputs: Sequence[torch.Tensor], frames: int, last: bool
) -> list[torch.Tensor]:
    """Push one input (B, C, n) into each stream; return what comes out of each (B, C', m).

    Args:
        streams, inputs: of the bands.
        frames: of codes that the inputs hold, roughly.
        last: whether the signals end here.
    """
    threads, pieces = plan(len(streams), frames, inputs[0].device)
    outputs: list[list[torch.Tensor]] = [[] for _ in streams]
    jobs = [
        _pushes(stream, x.tensor_split(pieces, dim=2), last, output)
        for stream, x, output in zip(streams, inputs, outputs, strict=True)
    ]
    run_jobs(jobs, threads)
    return [parts[0] if len(parts) == 1 else torch.cat(parts, dim=2) for parts in outputs]


def _pushes(
    stream: Stream, pieces: Sequence[torch.Tensor], last: bool, outputs: list[torch.Tensor]
) -> Iterator[None]:
    for i, piece in enumerate(pieces, 1):
        outputs.append(stream.push(piece, last and i == len(pieces)))
        yield


def run_jobs(jobs: Sequence[Iterator[None]], threads: int) -> None:
    """Exhaust all iterators, several at a time, each by steps that take turns with the others.

    In the threads gradients are off, and torch has one thread for each of them.  While one
    caller has the threads, another one's jobs run one after the other.
    """
    waiting, errors = deque(jobs), []
    if threads == 1 or not _section.acquire(blocking=False):
        _work(waiting, errors, torch.is_inference_mode_enabled())
    else:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        arguments = (waiting, errors, torch.is_inference_mode_enabled())
        helpers = [threading.Thread(target=_work, args=arguments) for _ in range(threads - 1)]
        try:
            for helper in helpers:
                helper.start()
            _work(*arguments)
        finally:
            waiting.clear()  # that an interrupted section ends soon
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()
            torch.set_num_threads(before)
            _section.release()
    if errors:
        raise errors[0]


def _work(waiting: deque[Iterator[None]], errors: list[Exception], inference: bool) -> None:
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
            except Exception as error:
                errors.append(error)
