"""Ends the process when it must not live on: the agent is gone, nobody ever called, or the announcing thread
is stuck.

A plugin that outlives its agent holds up the next agent's start, and a stuck one leaves it with an old
picture; a plugin that ends is started again at once. Started by `serve`; `services` reports a sign of life.
"""

from __future__ import annotations

import os
import threading
import time

from gpu_device_plugin.log import log

_TICK_S = 0.5
_NOBODY_CALLED_TICKS = 180  # 90 s; the agent itself gives up after 60
_STUCK_TICKS = 60  # 30 s


class Guard:
    """Counts its own ticks, not the clock: a process that was stopped or a machine that slept is not
    stuck."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._called = False
        self._streams: dict[int, int] = {}  # key of an open stream: ticks since its last sign of life
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="guard", daemon=True).start()

    def count_call(self) -> None:
        """The agent speaks to us."""
        self._called = True

    def alive(self, stream: int) -> None:
        """The stream called `stream` is open and goes round."""
        with self._lock:
            self._streams[stream] = 0

    def end_stream(self, stream: int) -> None:
        """The stream was closed in good order."""
        with self._lock:
            self._streams.pop(stream, None)

    def _watch(self) -> None:
        ticks = 0
        while True:
            time.sleep(_TICK_S)
            ticks += 1
            if os.getppid() != self._parent:
                leave("the agent is gone", 0)
            if not self._called and ticks > _NOBODY_CALLED_TICKS:
                leave("no agent called", 1)
            with self._lock:
                for stream in self._streams:
                    self._streams[stream] += 1
                stuck = any(quiet > _STUCK_TICKS for quiet in self._streams.values())
            if stuck:
                leave("the announcing thread is stuck", 1)


def leave(reason: str, status: int) -> None:
    """End the process now. Not by an exception: gRPC's threads would keep a process alive whose main thread
    ended."""
    log("info" if status == 0 else "error", "leaving", reason=reason)
    os._exit(status)
