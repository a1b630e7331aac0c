"""Work shared by a few threads with the order kept; the frame loop is its caller."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

MAX_THREADS = 6
"""Past this one encoder cannot keep up with the drawing."""

T = TypeVar("T")
R = TypeVar("R")


def drawing_threads() -> int:
    """Returns how many threads draw: the cores we may use without the encoder's, at least two."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2
    return max(2, min(MAX_THREADS, cores - 2))


def map_in_order(fn: Callable[[T], R], items: Iterable[T], workers: int = 2, depth: int = 6) -> Generator[R]:
    """`map(fn, items)` on `workers` threads; at most `depth` results wait, so memory stays flat.

    `items` is read in the caller's thread, in order. The first error ends the run; closing the iterator early
    cancels what has not begun and waits for what has, so no thread outlives the call.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="frames")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(fn, item))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
