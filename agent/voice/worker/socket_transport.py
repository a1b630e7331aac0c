"""pipecat's transport for the WebSocket of a session, which drops sound until its pipeline has started.

The socket connects while the pipeline is being set up, and the person's sound comes at once; pipecat's input
has no queue for it yet then, and its socket would end with an AttributeError.
"""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import InputAudioRawFrame, StartFrame
from pipecat.transports.websocket.client import WebsocketClientInputTransport, WebsocketClientTransport


class SocketTransport(WebsocketClientTransport):
    """The server's socket of one session."""

    def input(self) -> WebsocketClientInputTransport:
        if self._input is None:
            self._input = SocketInput(self, self._session, self._params)
        return self._input


class SocketInput(WebsocketClientInputTransport):
    """The input of the socket."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._is_ready = False

    async def set_transport_ready(self, frame: StartFrame) -> None:
        await super().set_transport_ready(frame)
        self._is_ready = True

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        if self._is_ready:
            await super().push_audio_frame(frame)
