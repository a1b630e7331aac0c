"""Sends messages of the pipeline over the server; the outputs of WebRTC and LiveKit share it."""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import OutputTransportMessageFrame, OutputTransportMessageUrgentFrame
from pipecat.transports.base_output import BaseOutputTransport

from agent.voice.worker.link import SessionLink


class ServerMessages(BaseOutputTransport):
    """Sends messages of the pipeline to the server; goes before the output of a transport."""

    def __init__(self, link: SessionLink, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._link = link

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        # pipecat sends events of its own protocol too.
        if not self._link.should_ignore_frame(frame):
            await self._link.send(frame.message)
