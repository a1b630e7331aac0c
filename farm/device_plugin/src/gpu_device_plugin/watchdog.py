"""Ends the process when it must not live on: the Nomad agent is gone, it never called, or the announcing
thread is stuck.

A plugin that outlives its agent blocks the next agent's start, and a stuck one leaves it with a stale list of
devices; Nomad restarts a plugin that ends at once. Started by `serve`; `services` sends heartbeats.
"""

from __future__ import annotations

import os
import threading
import time

from gpu_device_plugin.log import log

_TICK_S = 0.5
_NO_CALL_TICKS = 180  # 90 s; the agent itself gives up after 60
_STUCK_TICKS = 60  # 30 s


class Watchdog:
    """Counts its own ticks, not the clock: a process that was stopped or a machine that slept is not
    stuck."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._called = False
        self._streams: dict[int, int] = {}  # key of an open stream: ticks since its last heartbeat
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def note_call(self) -> None:
        """Records that the Nomad agent has called."""
        self._called = True

    def heartbeat(self, stream: int) -> None:
        """Records that the loop of an open stream has completed a round."""
        with self._lock:
            self._streams[stream] = 0

    def end_stream(self, stream: int) -> None:
        """Removes a stream that was closed regularly."""
        with self._lock:
            self._streams.pop(stream, None)

    def _watch(self) -> None:
        ticks = 0
        while True:
            time.sleep(_TICK_S)
            ticks += 1
            if os.getppid() != self._parent:
                exit_now("the agent is gone", 0)
            if not self._called and ticks > _NO_CALL_TICKS:
                exit_now("no agent called", 1)
            with self._lock:
                for stream in self._streams:
                    self._streams[stream] += 1
                stuck = any(quiet > _STUCK_TICKS for quiet in self._streams.values())
            if stuck:
                exit_now("the announcing thread is stuck", 1)


def exit_now(reason: str, status: int) -> None:
    """Ends the process now. Not by an exception: gRPC's threads would keep a process alive whose main thread
    ended."""
    log("info" if status == 0 else "error", "leaving", reason=reason)
    os._exit(status)
