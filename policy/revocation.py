"""Ends streams and sockets whose key, login or permission was revoked since they began; `install_policy`
wraps it around the application.
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

from policy.guard import guards_passed
from policy.keys.service import STREAM
from soundstage.background import until_set
from soundstage.database import utcnow
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.tasks import cancel_all, create_task_in
from soundstage.telemetry import get_logger

CACHE_TTL_S = 0.05
"""How long the `seq` of the last change is cached. Changes of this process invalidate it at once."""
CLOCK_CHECK_S = 10.0
"""How often a silent stream whose key has an end looks at the clock."""
POLICY_VIOLATION = 1008
"""The code with which a socket is closed (RFC 6455 §7.4.1)."""


class KeyChanges:
    """Follows the changes of keys and logins by one query, however many streams are open."""

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._listeners: set[asyncio.Event] = set()
        self._stale = asyncio.Event()
        self._fetching = asyncio.Lock()
        self._last_seq = 0
        self._fetched_at = float("-inf")
        self._watcher: asyncio.Task[None] | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    async def last_change_seq(self) -> int:
        """Returns the `seq` of the last change of a key or login. Raises Unavailable."""
        if not self._is_fresh():
            async with self._fetching:
                if not self._is_fresh():
                    self._stale.clear()
                    # Callers that come during the query wait for its result.
                    self._fetched_at = float("-inf")
                    began = time.monotonic()
                    seq = await self._events.last_seq(STREAM)
                    self._fetched_at = began
                    if seq != self._last_seq:
                        self._last_seq = seq
                        for changed in self._listeners:
                            changed.set()
        return self._last_seq

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """Yields an event that is set whenever the number may have changed."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        if self._watcher is None or self._watcher.done():
            # asyncio primitives belong to one event loop; tests run several, one after the other.
            self._stale, self._fetching = asyncio.Event(), asyncio.Lock()
            self._fetched_at = float("-inf")
            self._watcher = create_task_in(self._watchers, self._watch(), name="keys: watch")
        try:
            yield changed
        finally:
            self._listeners.discard(changed)
            if not self._listeners and self._watcher is not None:
                self._watcher.cancel()
                self._watcher = None

    async def close(self) -> None:
        """Ends the watchers of this event loop, and waits for their end."""
        loop = asyncio.get_running_loop()
        await cancel_all([task for task in self._watchers if task.get_loop() is loop])

    def _is_fresh(self) -> bool:
        return not self._stale.is_set() and time.monotonic() - self._fetched_at < CACHE_TTL_S

    async def _watch(self) -> None:
        with self._events.watch(STREAM) as woken:
            while True:
                await woken.wait()
                woken.clear()
                self._stale.set()
                # A database that cannot be read now is read again with the next event, or before the
                # next message.
                with suppress(SoundstageError):
                    await self.last_change_seq()


class RevocationCheck:
    """Checks before each message of a stream or socket, and whenever keys change, that its reader may have
    it.

    Where it may not, an event stream ends with its last chunk and a socket with code 1008 and the reason. To
    the route it looks as if the client had disconnected.
    """

    def __init__(self, app: ASGIApp, changes: KeyChanges) -> None:
        self._app = app
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # The guard of the route stores the principal here, whatever copies of the scope there are on the way.
        scope.setdefault("state", {})
        connection = _Connection(scope, receive, send, self._changes)
        try:
            await self._app(scope, connection.receive, connection.send)
        finally:
            await connection.close()


class _Connection:
    """One request or socket; a stream as soon as its response turns out to be one."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, changes: KeyChanges) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._changes = changes
        self._is_socket = scope["type"] == "websocket"
        self._is_stream = False
        self._is_body_read = self._is_socket
        self._authorized_at_seq: int | None = None
        self._until: datetime | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None
        self._next_message: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        if self._ended.done():
            return self._disconnect()
        is_handshake = self._is_socket and not self._is_stream
        if not self._is_body_read or is_handshake:
            message = await self._receive()
            self._is_body_read = self._is_socket or not message.get("more_body", False)
            if self._is_body_read and not self._is_socket:
                # `Request.is_disconnected()` polls without awaiting: prefetch the next message, so that a
                # disconnect is already there.
                self._next_message = asyncio.ensure_future(self._receive())
            return message
        if self._next_message is None:
            self._next_message = asyncio.ensure_future(self._receive())
        if not self._next_message.done():
            await asyncio.wait((self._next_message, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            return self._disconnect()
        pending, self._next_message = self._next_message, None
        return pending.result()

    async def send(self, message: Message) -> None:
        if self._ended.done():
            return
        kind = message["type"]
        if self._is_stream and kind in ("http.response.body", "websocket.send"):
            if (refused := await self._refusal()) is not None:
                await self._end(refused)
            if self._ended.done():
                return
        await self._send(message)
        if not self._is_stream and _starts_stream(message) and guards_passed(self._scope["state"]):
            self._is_stream = True
            self._watcher = asyncio.create_task(self._watch(), name="revocation: watch")

    async def close(self) -> None:
        """Cancels the tasks of the connection; called when the route has ended."""
        await cancel_all([task for task in (self._next_message, self._watcher) if task is not None])

    async def _watch(self) -> None:
        with self._changes.subscribe() as changed:
            while not self._ended.done():
                changed.clear()
                if (refused := await self._refusal()) is not None:
                    await self._end(refused)
                    return
                await until_set(changed, self._seconds_left())

    async def _refusal(self) -> SoundstageError | None:
        """Returns why no more may be sent, None when it may. An error counts as a refusal."""
        try:
            seq = await self._changes.last_change_seq()
            if seq == self._authorized_at_seq and (self._until is None or utcnow() < self._until):
                return None
            # All guards authenticate the same connection, so every principal ends at the same time.
            for passed in guards_passed(self._scope["state"]):
                principal = await passed.guard.reauthorize(passed.connection)
                self._until = principal.until
        except SoundstageError as error:
            return error
        self._authorized_at_seq = seq
        return None

    def _seconds_left(self) -> float | None:
        """Returns when to look again. The clock, by which a key ends, may be set meanwhile."""
        if self._until is None:
            return None
        return min(CLOCK_CHECK_S, max(0.0, (self._until - utcnow()).total_seconds()))

    async def _end(self, refused: SoundstageError) -> None:
        if self._ended.done():
            return
        self._ended.set_result(None)
        get_logger(__name__).info("a stream was ended", path=self._scope.get("path"), code=refused.code)
        last: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": False}
        if self._is_socket:
            last = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refused.code}
        # It is disconnected already: then it has ended as well.
        with suppress(OSError, RuntimeError):
            await self._send(last)

    def _disconnect(self) -> Message:
        if self._is_socket:
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": ""}
        return {"type": "http.disconnect"}


def _starts_stream(message: Message) -> bool:
    if message["type"] == "websocket.accept":
        return True
    if message["type"] != "http.response.start":
        return False
    return Headers(raw=message.get("headers", [])).get("content-type", "").startswith("text/event-stream")
