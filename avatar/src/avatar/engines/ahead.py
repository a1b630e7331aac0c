"""Does the next frames' work while this thread is busy with others: a generator that runs in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
_END = object()
_PUT_TIMEOUT_S = 0.1
_MAX_FRAMES, _MAX_BYTES = 8, 96 << 20


def room_for(pixels: int) -> int:
    """Returns how many BGR pictures of so many pixels may wait."""
    return max(1, min(_MAX_FRAMES, _MAX_BYTES // (3 * pixels)))


class _Ahead(Generic[T]):
    def __init__(self, make: Callable[[], Iterator[T]], maximum: int) -> None:
        self._items: queue.Queue[object] = queue.Queue(maxsize=maximum)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(make,), name="frames-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._items.get()
            if item is _END:
                return
            if isinstance(item, _Failed):
                error = item.error
                del item
                try:
                    raise error
                finally:
                    del error  # its traceback holds this frame, which would hold it: threads and files, too
            yield item  # type: ignore[misc]

    def stop(self) -> None:
        self._stopped.set()
        if threading.current_thread() is not self._thread:  # where the garbage collector ends it
            self._thread.join()

    def _run(self, make: Callable[[], Iterator[T]]) -> None:
        try:
            items = make()
            try:
                for item in items:
                    if not self._put(item):
                        return
            finally:  # Here, in its own thread, whatever other references exist.
                close = getattr(items, "close", None)
                if close is not None:
                    close()
            self._put(_END)
        except BaseException as error:
            self._put(_Failed(error))

    def _put(self, item: object) -> bool:
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=_PUT_TIMEOUT_S)
                return True
            except queue.Full:
                continue
        return False


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


@contextmanager
def ahead(make: Callable[[], Iterator[T]], maximum: int) -> Iterator[Iterator[T]]:
    """Yields what `make()` yields, from a thread of its own with at most `maximum` items waiting.

    What it raises is raised here in its place. The thread has ended when the block ends.
    """
    running = _Ahead(make, maximum)
    try:
        yield iter(running)
    finally:
        running.stop()
