"""pipecat's transport for a broadcast: sound and pictures are encoded to RTMP, or to HLS files."""

from __future__ import annotations

import asyncio

from pipecat.frames.frames import InterruptionFrame, OutputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.voice.schemas import BroadcastState
from agent.voice.worker.broadcasting import Broadcaster
from agent.voice.worker.link import SessionLink
from agent.voice.worker.live_face import Picture
from agent.voice.worker.output import ServerMessages


class BroadcastTransport(BaseTransport):
    """An output that is paced by the clock, and an input that hears nothing."""

    def __init__(self, link: SessionLink, url: str) -> None:
        super().__init__()

        async def note(state: BroadcastState, error: str) -> None:
            await link.send({"type": "broadcast", "state": state, "error": error})

        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self._broadcaster = Broadcaster(url, note)
        self._input = _Silence(params)
        self._output = _BroadcastOutput(link, params)
        self._output.broadcaster = self._broadcaster

    def input(self) -> BaseInputTransport:
        return self._input

    def output(self) -> BaseOutputTransport:
        return self._output

    def send_picture(self, picture: Picture) -> None:
        """Encodes a picture of the presenter."""
        self._broadcaster.show(picture)

    async def close(self) -> None:
        """Ends the broadcast."""
        await self._broadcaster.close()


class _Silence(BaseInputTransport):
    """Nobody speaks to a broadcast."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class _BroadcastOutput(ServerMessages, BaseOutputTransport):
    """Gives sound to the encoder, each piece when it sounds."""

    broadcaster: Broadcaster
    _next_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: object, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            self.broadcaster.hush()
        await super().process_frame(frame, direction)  # type: ignore[arg-type]

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        clock = asyncio.get_running_loop().time
        self._next_s = max(self._next_s, clock())
        await asyncio.sleep(self._next_s - clock())
        self.broadcaster.play(frame.audio, self._next_s)
        self._next_s += len(frame.audio) / (2 * frame.sample_rate)
        return True
