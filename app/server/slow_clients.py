"""Ends connections whose request does not come to its end in time; used by the provisioning server.

uvicorn waits without limit for the rest of a head or of a body, and a keep-alive connection counts as busy
again with each byte. Whoever sends one byte a second could hold as many connections as the process may have.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# From the first byte of a head to its last, and the same for a body; every body here is a short JSON text.
HEAD_S = 10.0
BODY_S = 20.0

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 with an end for each part of a request; idle connections between requests are uvicorn's."""

    head_s: ClassVar[float] = HEAD_S
    body_s: ClassVar[float] = BODY_S

    _part: object | None = None
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await(h11.IDLE)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        self._await(None)
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        # The connection is no longer ours; its protocol has limits of its own.
        self._await(None)
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        """After something happened: which part of a request is still to come, if one has begun."""
        state = self.conn.their_state
        begun = state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))
        fresh = state is h11.IDLE and self._part is h11.IDLE
        self._await(state if begun or fresh else None)

    def _await(self, part: object | None) -> None:
        """A part that was awaited before keeps its end: more bytes of it buy no time."""
        if part is self._part:
            return
        self._part = part
        if self._end is not None:
            self._end.cancel()
        self._end = None
        if part is not None:
            seconds = self.body_s if part is h11.SEND_BODY else self.head_s
            self._end = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            # Nothing was answered yet; whoever waits for it in the application sees a caller who has gone.
            self.transport.write(_TOO_SLOW)
        self.transport.close()
