"""Reading in threads, a little ahead of what is asked for: of a shared file system, several files
at a time come faster than one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    function: Callable[[T], R], items: Iterable[T], num_threads: int
) -> Generator[Future[R]]:
    """Call a function with each item; yield a future of each call, in their order.

    At most ``2 * num_threads`` calls are ahead. Closing the generator drops those that wait.
    """
    pool = ThreadPoolExecutor(num_threads)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * num_threads:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
