"""Notes the end of the audit chain now and then, and at the close; told by the audit log of each commit."""

from __future__ import annotations

import asyncio

from policy.audit.head import Head, HeadFile

EVERY_S = 0.2
"""A file that replaces another costs a millisecond or two, which a busy server cannot spend at every line."""


class HeadWriter:
    """The first head is written at once, what follows within `EVERY_S` together with the last of it.

    A process that is killed leaves the file that much behind the chain, which the file may be.
    """

    def __init__(self, file: HeadFile) -> None:
        self._file = file
        self._latest: Head | None = None
        self._written_s = float("-inf")
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def note(self, head: Head) -> None:
        """Called in the event loop, after the commit of the line."""
        self._latest = head
        loop = asyncio.get_running_loop()
        if self._waiting is not None and self._waiting[0] is loop:
            return
        wait_s = self._written_s + EVERY_S - loop.time()
        if wait_s > 0:
            self._waiting = (loop, loop.call_later(wait_s, self.settle))
        else:
            self._written_s = loop.time()
            self.settle()

    def settle(self) -> None:
        """Writes what was noted and is not in the file yet."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].cancel()
            self._written_s = waiting[0].time()
        latest, self._latest = self._latest, None
        if latest is not None:
            self._file.write(latest)

    def read(self) -> Head | None:
        """Return what is noted, in the file or still here. Raises `HeadError`."""
        return self._latest or self._file.read()

    def read_unkeyed(self, last: Head) -> bool:
        """Returns whether this is the last line of a chain from before keys, which gets its key now."""
        return bool(self._file.key) and self._file.key_is_new and self._file.read_unkeyed() == last

    def forget(self) -> None:
        """The chain it belongs to was replaced. Raises `OSError`."""
        self._latest = None
        self._file.forget()
