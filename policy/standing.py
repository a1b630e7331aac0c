"""Ends streams and sockets whose key, login or rights have ended since they began; `install_policy` wraps it
around the application.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy.guard import opened_by
from policy.keys.service import STREAM
from soundstage.database import utcnow
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.telemetry import get_logger
from soundstage.waiting import until_set

FRESH_S = 0.05
"""For so long nobody asks again whether another process has changed a key. Our own changes count at once."""
POLICY_VIOLATION = 1008
"""The code with which a socket is closed (RFC 6455 §7.4.1)."""


class KeyChanges:
    """Counts the changes of keys and logins: one question to the database, however many lines are open."""

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._lines: set[asyncio.Event] = set()
        self._stale = asyncio.Event()
        self._asking = asyncio.Lock()
        self._last = 0
        self._asked_at = float("-inf")
        self._watcher: asyncio.Task[None] | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    async def last(self) -> int:
        """The number of the last change. Raises Unavailable."""
        if not self._is_fresh():
            async with self._asking:
                if not self._is_fresh():
                    self._stale.clear()
                    # Whoever comes while we ask waits for the answer.
                    self._asked_at = float("-inf")
                    began = time.monotonic()
                    last = await self._events.last_of(STREAM)
                    self._asked_at = began
                    if last != self._last:
                        self._last = last
                        for line in self._lines:
                            line.set()
        return self._last

    @contextmanager
    def told(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever the number may have changed."""
        line = asyncio.Event()
        self._lines.add(line)
        if self._watcher is None or self._watcher.done():
            # A loop of its own: an application may be served by one loop after the other.
            self._stale, self._asking = asyncio.Event(), asyncio.Lock()
            self._asked_at = float("-inf")
            self._watcher = asyncio.create_task(self._watch(), name="keys: watch")
            self._watchers.add(self._watcher)
            self._watcher.add_done_callback(self._watchers.discard)
        try:
            yield line
        finally:
            self._lines.discard(line)
            if not self._lines and self._watcher is not None:
                self._watcher.cancel()
                self._watcher = None

    async def close(self) -> None:
        """End the watch of this event loop, also one whose last line has gone, and wait for its end."""
        loop = asyncio.get_running_loop()
        watching = [task for task in self._watchers if task.get_loop() is loop]
        for task in watching:
            task.cancel()
        if watching:
            await asyncio.wait(watching)

    def _is_fresh(self) -> bool:
        return not self._stale.is_set() and time.monotonic() - self._asked_at < FRESH_S

    async def _watch(self) -> None:
        with self._events.watched(STREAM) as woken:
            while True:
                await woken.wait()
                woken.clear()
                self._stale.set()
                # A database that cannot be asked now is asked again with the next event, or before the
                # next message.
                with suppress(SoundstageError):
                    await self.last()


class StandingCheck:
    """Before each message of a stream or socket, and whenever keys change: may its reader still have it?

    A line that may not go on is ended: an event stream with its last chunk, a socket with code 1008 and the
    reason. To the route it looks as if the reader had gone away.
    """

    def __init__(self, app: ASGIApp, changes: KeyChanges) -> None:
        self._app = app
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # The guard of the route notes here who came in, whatever copies of the scope are made on the way.
        scope.setdefault("state", {})
        line = _Line(scope, receive, send, self._changes)
        try:
            await self._app(scope, line.receive, line.send)
        finally:
            await line.close()


class _Line:
    """One request or socket; a long one as soon as its answer turns out to be a stream."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, changes: KeyChanges) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._changes = changes
        self._is_socket = scope["type"] == "websocket"
        self._is_long = False
        self._has_body = self._is_socket
        self._checked: int | None = None
        self._until: datetime | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None
        self._coming: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        if self._ended.done():
            return self._gone()
        if not self._has_body or (self._is_socket and not self._is_long):
            message = await self._receive()
            self._has_body = self._is_socket or not message.get("more_body", False)
            if self._has_body and not self._is_socket:
                # A route that looks whether its reader has gone waits for nothing (`is_disconnected`):
                # what comes must have come by then.
                self._coming = asyncio.ensure_future(self._receive())
            return message
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._receive())
        if not self._coming.done():
            await asyncio.wait((self._coming, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            return self._gone()
        coming, self._coming = self._coming, None
        return coming.result()

    async def send(self, message: Message) -> None:
        if self._ended.done():
            return
        kind = message["type"]
        if self._is_long and kind in ("http.response.body", "websocket.send"):
            if (refused := await self._refusal()) is not None:
                await self._end(refused)
            if self._ended.done():
                return
        await self._send(message)
        if not self._is_long and _begins_a_long_one(message) and opened_by(self._scope["state"]):
            self._is_long = True
            self._watcher = asyncio.create_task(self._watch(), name="standing: watch")

    async def close(self) -> None:
        """The route has ended."""
        for task in (self._coming, self._watcher):
            if task is not None and not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _watch(self) -> None:
        with self._changes.told() as told:
            while not self._ended.done():
                told.clear()
                if (refused := await self._refusal()) is not None:
                    await self._end(refused)
                    return
                await until_set(told, self._seconds_left())

    async def _refusal(self) -> SoundstageError | None:
        """Why nothing more may be told; None when it may. What cannot be found out is no."""
        try:
            last = await self._changes.last()
            if last == self._checked and (self._until is None or utcnow() < self._until):
                return None
            for opened in opened_by(self._scope["state"]):
                principal = await opened.guard.again(opened.connection)
                self._until = principal.until
        except SoundstageError as error:
            return error
        self._checked = last
        return None

    def _seconds_left(self) -> float | None:
        return None if self._until is None else max(0.0, (self._until - utcnow()).total_seconds())

    async def _end(self, refused: SoundstageError) -> None:
        if self._ended.done():
            return
        self._ended.set_result(None)
        get_logger(__name__).info("a line was ended", path=self._scope.get("path"), code=refused.code)
        last: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": False}
        if self._is_socket:
            last = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refused.code}
        # Gone already: then it has ended as well.
        with suppress(OSError, RuntimeError):
            await self._send(last)

    def _gone(self) -> Message:
        if self._is_socket:
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": ""}
        return {"type": "http.disconnect"}


def _begins_a_long_one(message: Message) -> bool:
    if message["type"] == "websocket.accept":
        return True
    if message["type"] != "http.response.start":
        return False
    return Headers(raw=message.get("headers", [])).get("content-type", "").startswith("text/event-stream")
