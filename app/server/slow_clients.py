"""Ends connections whose request is not complete in time (slowloris attacks); used by the provisioning
server.

uvicorn waits without limit for the rest of a head or of a body, and a keep-alive connection counts as busy
again with each byte. A client that sends one byte a second could hold all connections of the process.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# From the start of a connection, or the first byte of a later head, to the end of the head; and from there to
# the end of the body. Every body here is a short JSON text.
HEAD_S = 10.0
BODY_S = 20.0

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class RequestTimeoutProtocol(H11Protocol):
    """Adds a deadline for each part of a request to HTTP/1.1 (against slowloris); uvicorn closes idle
    connections between requests.
    """

    head_s: ClassVar[float] = HEAD_S
    body_s: ClassVar[float] = BODY_S

    _part: object | None = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline(h11.IDLE)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update()

    def on_response_complete(self) -> None:
        self._set_deadline(None)
        super().on_response_complete()
        self._update()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        # The connection is no longer ours; its protocol has limits of its own.
        self._set_deadline(None)
        super().handle_websocket_upgrade(event)

    def _update(self) -> None:
        """Sets the deadline of the part of a request that is incomplete now, if one has begun."""
        state = self.conn.their_state
        begun = state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))
        fresh = state is h11.IDLE and self._part is h11.IDLE
        self._set_deadline(state if begun or fresh else None)

    def _set_deadline(self, part: object | None) -> None:
        """Starts the timer of a part. A part that is awaited already keeps its deadline: more bytes do not
        extend it.
        """
        if part is self._part:
            return
        self._part = part
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if part is not None:
            seconds = self.body_s if part is h11.SEND_BODY else self.head_s
            self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            # No response has begun; the application sees a disconnected client.
            self.transport.write(_TOO_SLOW)
        self.transport.close()
