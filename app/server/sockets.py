"""Sends the WebSocket frames of one round of the event loop together, uncompressed."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

WAITING_BYTES = 64 << 10
"""So much waits for the end of a round of the event loop at most."""


class GatheringProtocol(WebSocketsSansIOProtocol):
    """The frames of one round of the event loop leave together.

    An answer is half a dozen short messages, and giving one to the system costs as much as making it. They
    wait in the protocol's own buffer, so that whatever else is written, a ping or the end, comes after them.
    """

    _waiting_bytes = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                # The connection is closed next.
                self._leave()

        self.app = app

    async def send(self, message: Any) -> None:
        text = message.get("text")
        open_ = self.handshake_complete and not self.close_sent and self.initial_response is None
        if not (open_ and text is not None and message["type"] == "websocket.send"):
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected:
            raise ClientDisconnected
        data = text.encode()
        try:
            self.conn.send_text(data)
        except InvalidState as error:
            raise ClientDisconnected from error
        if not self._waiting_bytes:
            self.loop.call_soon(self._leave)
        self._waiting_bytes += len(data) + 1
        if self._waiting_bytes > WAITING_BYTES:
            self._leave()

    def _leave(self) -> None:
        self._waiting_bytes = 0
        if not self.transport.is_closing() and (output := b"".join(self.conn.data_to_send())):
            self.transport.write(output)
