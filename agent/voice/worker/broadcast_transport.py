"""pipecat's transport for a broadcast: sound and pictures are encoded to RTMP, or to HLS files."""

from __future__ import annotations

import asyncio

from pipecat.frames.frames import InterruptionFrame, OutputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.voice.schemas import BroadcastState
from agent.voice.worker.broadcasting import Encoder
from agent.voice.worker.link import SessionLink
from agent.voice.worker.live_face import Picture
from agent.voice.worker.output import ServerMessages


class BroadcastTransport(BaseTransport):
    """An output that is paced by the clock, and an input that hears nothing."""

    def __init__(self, link: SessionLink, url: str) -> None:
        super().__init__()
        self._link = link
        self._params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self._loop = asyncio.get_running_loop()
        self._telling: set[asyncio.Task[None]] = set()
        self._encoder = Encoder(url, self._note)
        self._input = _Silence(self._params)
        self._output = _BroadcastOutput(link, self._params)
        self._output.encoder = self._encoder

    def input(self) -> BaseInputTransport:
        return self._input

    def output(self) -> BaseOutputTransport:
        return self._output

    def send_picture(self, picture: Picture) -> None:
        """Encodes a picture of the presenter."""
        self._encoder.show(picture)

    async def close(self) -> None:
        """Ends the broadcast; what was encoded is sent."""
        await asyncio.to_thread(self._encoder.close)

    def _note(self, state: BroadcastState, error: str) -> None:
        """Tells the server how the connection is; called in the encoder's thread."""
        self._loop.call_soon_threadsafe(self._tell, state, error)

    def _tell(self, state: BroadcastState, error: str) -> None:
        task = asyncio.ensure_future(self._link.send({"type": "broadcast", "state": state, "error": error}))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


class _Silence(BaseInputTransport):
    """Nobody speaks to a broadcast."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class _BroadcastOutput(ServerMessages, BaseOutputTransport):
    """Gives sound to the encoder, each piece when it sounds."""

    encoder: Encoder
    _next_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: object, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            self.encoder.hush()
        await super().process_frame(frame, direction)  # type: ignore[arg-type]

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        clock = asyncio.get_running_loop().time
        self._next_s = max(self._next_s, clock())
        await asyncio.sleep(self._next_s - clock())
        self.encoder.play(frame.audio, self._next_s)
        self._next_s += len(frame.audio) / (2 * frame.sample_rate)
        return True
