"""Sessions whose sound goes between person and worker: a LiveKit room, or a WebRTC peer connection.

The server's socket of the session carries messages alone; what the server shows goes out on the data channel.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipecat.frames.frames import Frame, InputAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner

from agent.voice.worker.face_video import FaceVideo
from agent.voice.worker.link import SessionLink
from agent.voice.worker.live_face import Fetch, Picture
from agent.voice.worker.speaking import split_sentences
from soundstage.http.sockets import ClientConnection, ConnectionClosed
from soundstage.tasks import cancel_all, create_task_in
from soundstage.telemetry import get_logger

MAX_INTERRUPTING = 8
JOIN_TIMEOUT_S = 60.0
"""Longest wait for a room to be joined; LiveKit is asked three times meanwhile."""
QUEUE_MS = 60
"""Sound that waits in LiveKit's source: an interruption drops it, and what was heard is known as well."""
FLUSH_S = 0.2
"""A data channel drops what is not sent yet when it closes."""
Build = Callable[[BaseTransport, FrameProcessor], PipelineWorker]
VIDEO_DELAY_S = {"livekit": 0.03, "webrtc": -0.06, "broadcast": 0.0}
"""Sound waits longer than pictures, in queues and in the jitter buffer: `bench/live_face.py` measures it."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The command of the avatar program, and the reader of a session's files."""

    command: Sequence[str]
    fetch: Fetch


class Channel(Protocol):
    """The media of a session, as the server steers them."""

    async def take(self, message: dict[str, Any]) -> None:
        """Does what the server says: `show`, `hang_up`, `offer`."""

    async def push(self, frame: Frame) -> None:
        """Gives a frame to the pipeline, if one runs."""

    async def send_picture(self, picture: Picture) -> None:
        """Sends a picture of the presenter to the person; drops it while nobody can see it."""

    async def close(self) -> None:
        """Ends the pipeline."""


@dataclass
class Microphone:
    """The state of the person's sound, for all pipelines of a session."""

    muted: bool = False


class Muting(FrameProcessor):
    """Silences the person's sound while they are muted; the speech detector goes on hearing silence."""

    def __init__(self, microphone: Microphone) -> None:
        super().__init__()
        self._microphone = microphone

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if self._microphone.muted and isinstance(frame, InputAudioRawFrame):
            frame.audio = bytes(len(frame.audio))
        await self.push_frame(frame, direction)


async def serve_relayed(
    socket: ClientConnection, link: SessionLink, transport: dict[str, Any], build: Build, drawing: Drawing
) -> None:
    """Serves a session until its socket closes, or its room has ended."""
    microphone = Microphone()
    face = FaceVideo(link, drawing.command, drawing.fetch, VIDEO_DELAY_S[transport["kind"]])
    link.face = face
    ended = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        try:
            await socket.send(json.dumps(message))
        except ConnectionClosed:
            ended.set()

    link.send = send
    channel: Channel
    if transport["kind"] == "livekit":
        channel = Room(link, transport, microphone, build, ended)
    elif transport["kind"] == "broadcast":
        channel = Broadcast(link, transport["url"], build, ended)
    else:
        channel = Peer(link, transport, microphone, build)
    face.sink = channel.send_picture

    interrupting: list[asyncio.Task[None]] = []

    async def receive() -> None:
        async for data in socket:
            message = json.loads(data)
            if message["type"] == "mute":
                microphone.muted = message["muted"]
            elif message["type"] == "read":
                for sentence in split_sentences(message["text"]):
                    await channel.push(TTSSpeakFrame(sentence))
            elif message["type"] == "face":
                face.change(message["spec"])
            elif message["type"] in ("show", "hang_up", "offer"):
                await channel.take(message)
            elif message["type"] == "interrupt":
                # It waits for the pipeline, which may wait for our next message.
                interrupting.append(asyncio.create_task(_deserialize(link, data)))
                del interrupting[:-MAX_INTERRUPTING]
            elif (frame := await link.deserialize(data)) is not None:
                await channel.push(frame)

    tasks = [asyncio.create_task(receive()), asyncio.create_task(ended.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all([*tasks, *interrupting])
        await face.close()
        await channel.close()


async def _deserialize(link: SessionLink, data: str | bytes) -> None:
    await link.deserialize(data)


class _Running:
    """A pipeline that runs beside the session's socket."""

    def __init__(self, pipeline: PipelineWorker, on_end: Callable[[], None]) -> None:
        self._pipeline = pipeline
        self._on_end = on_end
        self._task = asyncio.create_task(self._run())

    async def push(self, frame: Frame) -> None:
        await self._pipeline.queue_frame(frame)

    async def cancel(self) -> None:
        await self._pipeline.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        try:
            await runner.add_workers(self._pipeline)
            await runner.run()
        except Exception:
            get_logger(__name__).exception("voice.pipeline_failed")
        finally:
            self._on_end()


class Room:
    """A room of LiveKit in which the worker is a participant."""

    def __init__(
        self,
        link: SessionLink,
        transport: dict[str, Any],
        microphone: Microphone,
        build: Build,
        ended: asyncio.Event,
    ) -> None:
        from agent.voice.worker.livekit_transport import RoomTransport, room_params

        self._person: str = transport["person"]
        self._transport = RoomTransport(
            link, transport["url"], transport["token"], transport["room"], room_params(QUEUE_MS)
        )
        handlers = {
            "on_connected": self._on_joined,
            "on_app_message": self._on_message,
        }
        for name, handler in handlers.items():
            self._transport.add_event_handler(name, handler)
        self._link = link
        self._joined = False
        self._telling: set[asyncio.Task[None]] = set()
        self._joining = asyncio.get_running_loop().call_later(JOIN_TIMEOUT_S, self._give_up, ended)
        self._running = _Running(build(self._transport, Muting(microphone)), ended.set)

    async def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "show":
            await self._transport.show(message["message"], self._person)

    async def push(self, frame: Frame) -> None:
        await self._running.push(frame)

    async def send_picture(self, picture: Picture) -> None:
        if self._joined:
            await self._transport.send_picture(picture)

    async def close(self) -> None:
        self._joined = False
        self._joining.cancel()
        await self._running.cancel()
        await cancel_all(self._telling)

    def _give_up(self, ended: asyncio.Event) -> None:
        """Ends the session's socket: the server then asks a worker again to join."""
        get_logger(__name__).warning("voice.room_not_joined", session=self._link.session_id)
        ended.set()

    async def _on_joined(self, *_: Any) -> None:
        self._joining.cancel()
        self._joined = True
        self._transport.watch(self._person, self._on_present)

    def _on_present(self, connected: bool) -> None:
        create_task_in(self._telling, self._link.send({"type": "presence", "connected": connected}))

    async def _on_message(self, _: Any, message: Any, sender: str | None) -> None:
        if sender == self._person:
            await self._link.send({"type": "person", "message": json.dumps(message)[:4000]})


class Broadcast:
    """A broadcast: what the pipeline says and the presenter are encoded and sent to one address."""

    def __init__(self, link: SessionLink, url: str, build: Build, ended: asyncio.Event) -> None:
        from agent.voice.worker.broadcast_transport import BroadcastTransport

        self._transport = BroadcastTransport(link, url)
        self._running = _Running(build(self._transport, Muting(Microphone(muted=True))), ended.set)

    async def take(self, message: dict[str, Any]) -> None:
        """Does nothing: nobody is shown anything."""

    async def push(self, frame: Frame) -> None:
        await self._running.push(frame)

    async def send_picture(self, picture: Picture) -> None:
        self._transport.send_picture(picture)

    async def close(self) -> None:
        await self._running.cancel()
        await self._transport.close()


class Peer:
    """A peer connection with the person's browser; a new offer replaces it."""

    def __init__(
        self, link: SessionLink, transport: dict[str, Any], microphone: Microphone, build: Build
    ) -> None:
        self._link = link
        self._ice_servers: list[str] = transport.get("ice_servers", [])
        self._microphone = microphone
        self._build = build
        self._connection: Any = None
        self._track: Any = None
        self._running: _Running | None = None

    async def take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "show" if self._connection is not None:
                self._connection.send_app_message(message["message"])
            case "hang_up":
                await asyncio.sleep(FLUSH_S)
                await self.close()
            case "offer":
                await self._answer(message["ref"], message["sdp"])

    async def push(self, frame: Frame) -> None:
        if self._running is not None:
            await self._running.push(frame)

    async def send_picture(self, picture: Picture) -> None:
        if self._track is not None:
            self._track.show(picture)

    async def close(self) -> None:
        running, connection = self._running, self._connection
        self._running = self._connection = self._track = None
        if self._link.face is not None:
            self._link.face.hush()
        if running is not None:
            await running.cancel()
        if connection is not None:
            await connection.disconnect()

    async def _answer(self, ref: int, sdp: str) -> None:
        from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

        from agent.voice.worker.webrtc_transport import PeerTransport, add_face_track

        await self.close()
        connection = SmallWebRTCConnection(self._ice_servers)
        try:
            await connection.initialize(sdp, "offer")
            answer = connection.get_answer()  # type: ignore[no-untyped-call]
        except Exception as error:
            # aiortc raises what its parser meets: ValueError, AssertionError, KeyError.
            get_logger(__name__).info("voice.bad_offer", error=str(error)[:200])
            answer = None
        if answer is None:
            await connection.disconnect()  # type: ignore[no-untyped-call]
            await self._link.send({"type": "described", "ref": ref, "sdp": ""})
            return
        self._connection, self._track = connection, add_face_track(connection)
        transport = PeerTransport(
            self._link, connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        )

        async def on_connected(*_: Any) -> None:
            await self._link.send({"type": "presence", "connected": True})

        async def on_disconnected(*_: Any) -> None:
            if self._connection is connection:
                await self._link.send({"type": "presence", "connected": False})

        async def on_message(_: Any, message: Any, *__: Any) -> None:
            await self._link.send({"type": "person", "message": json.dumps(message)[:4000]})

        transport.add_event_handler("on_client_connected", on_connected)
        transport.add_event_handler("on_client_disconnected", on_disconnected)
        transport.add_event_handler("on_app_message", on_message)
        self._running = _Running(self._build(transport, Muting(self._microphone)), lambda: None)
        await self._link.send({"type": "described", "ref": ref, "sdp": answer["sdp"]})
