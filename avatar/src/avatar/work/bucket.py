"""The worker's client of the studio's bucket. It reads the authorities that sign the bucket's certificate
again when their file has changed: a farm that replaces its authority writes a new one under running workers.
"""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import httpx


class Bucket:
    """Opens clients for signed addresses, without the task's token. Thread-safe.

    `ca_file`: authorities beside those of the system, which need not be there. A bucket that this node cannot
    use is left alone until that file changes.
    """

    def __init__(self, timeout: httpx.Timeout, ca_file: Path | None) -> None:
        self._timeout = timeout
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._state: tuple[int, int, int] | None = None
        self._clients = [self._open(ssl.create_default_context())]
        self._usable = True

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def client(self) -> httpx.Client | None:
        """Returns one that trusts what the file holds now, or held before while it cannot be read; None where
        the bucket is left alone. Requests under way end on theirs.
        """
        with self._lock:
            if (state := self._file_state()) is not None and state != self._state:
                self._trust(state)
            return self._clients[-1] if self._usable else None

    def leave_alone(self, client: httpx.Client) -> None:
        """Takes note that a request of this client has failed."""
        with self._lock:
            if client is self._clients[-1]:
                self._usable = False

    def _trust(self, state: tuple[int, int, int]) -> None:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(self._ca_file)
        except OSError:
            # Damaged or half-written; an `ssl.SSLError` is one.
            return
        self._state = state
        self._clients.append(self._open(context))
        self._usable = True

    def _open(self, context: ssl.SSLContext) -> httpx.Client:
        return httpx.Client(timeout=self._timeout, verify=context, trust_env=False, follow_redirects=False)

    def _file_state(self) -> tuple[int, int, int] | None:
        """Returns what differs when the file is written or replaced; None where there is none."""
        try:
            found = self._ca_file.stat() if self._ca_file else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_ino, found.st_size)
