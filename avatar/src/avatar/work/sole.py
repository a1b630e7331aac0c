"""One worker per allocation; called by `avatar work` before anything else.

A Nomad client that is killed while it starts a worker does not know of it afterwards, and starts it again in
the same allocation. The first one could then be stopped by nobody, and both would make the same.
"""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path

from avatar.errors import Unavailable

NAME_FILE = "worker.name"
LOCK_FILE = "worker.lock"
LOOK_S = 0.25


class SoleWorker:
    """Lets the newest process of an allocation win, as Nomad knows only that one: `take` stops older ones and
    returns when they have ended. Uses files and no process ids, which mean nothing across PID namespaces.
    """

    def __init__(self, folder: Path, name: str, stop: threading.Event) -> None:
        """`name` is unique per process; `stop` is set when another one has come after us."""
        self._name_file = folder / NAME_FILE
        self._lock_file = folder / LOCK_FILE
        self._name = name
        self._stop = stop

    def take(self, patience_s: float) -> None:
        """Raises Unavailable when one before us has not ended within `patience_s` seconds."""
        staging = self._name_file.with_name(f".{self._name}")
        staging.write_text(self._name, encoding="ascii")
        staging.replace(self._name_file)
        # Held until the process ends, however it ends.
        self._lock = self._lock_file.open("ab")
        until = time.monotonic() + patience_s
        while not self._locked():
            if time.monotonic() > until:
                raise Unavailable(
                    "work.not_alone",
                    "Another worker of this allocation is still at work.",
                    "It is started again; if it stays, look for processes of this job on the node.",
                )
            time.sleep(LOOK_S)
        threading.Thread(target=self._watch, name="sole-worker", daemon=True).start()

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                newest = self._name_file.read_text(encoding="ascii")
            except OSError:
                # The allocation's folder is being removed: Nomad stops us by itself.
                continue
            if newest != self._name:
                self._stop.set()
