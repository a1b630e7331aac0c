"""One worker per allocation; called by `avatar work` before anything else.

A Nomad client that is killed while it starts a worker forgets it, and starts it again in the same
allocation. Nomad could not stop the first one then, and both would do the same work.
"""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path

from avatar.errors import Unavailable

NAME_FILE = "worker.name"
LOCK_FILE = "worker.lock"
POLL_S = 0.25


class SingleInstance:
    """Lets the newest process of an allocation win, as Nomad knows only that one: `acquire` stops older ones
    and returns when they have ended. Uses files and no process ids, which mean nothing across PID namespaces.
    """

    def __init__(self, folder: Path, name: str, stop: threading.Event) -> None:
        """`name` is unique per process; `stop` is set when a newer process has started."""
        self._name_file = folder / NAME_FILE
        self._lock_file = folder / LOCK_FILE
        self._name = name
        self._stop = stop

    def acquire(self, timeout_s: float) -> None:
        """Stops older processes and waits for their end. Raises Unavailable when one has not ended within
        `timeout_s` seconds.
        """
        staging = self._name_file.with_name(f".{self._name}")
        staging.write_text(self._name, encoding="ascii")
        staging.replace(self._name_file)
        # Held until the process ends, however it ends.
        self._lock = self._lock_file.open("ab")
        until = time.monotonic() + timeout_s
        while not self._try_lock():
            if time.monotonic() > until:
                raise Unavailable(
                    "work.not_alone",
                    "Another worker of this allocation is still running.",
                    "Nomad restarts this worker; if it fails again, end old processes of this job.",
                )
            time.sleep(POLL_S)
        threading.Thread(target=self._watch, name="sole-worker", daemon=True).start()

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                newest = self._name_file.read_text(encoding="ascii")
            except OSError:
                # The allocation's folder is being removed: Nomad stops us by itself.
                continue
            if newest != self._name:
                self._stop.set()
