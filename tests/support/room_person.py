"""Persons who talk to the agent in a LiveKit room, or over a WebRTC peer connection; for tests."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, AudioResampler
from livekit import rtc
from lossy_way import LossyWay
from spoken_words import RATE_HZ, silence
from voice_person import FRAME, SOFTEST, Person

Luma = npt.NDArray[np.uint8]


class RoomPerson(Person):
    """A participant of a room: publishes a microphone, hears the agent, and gets events as data."""

    room: rtc.Room
    on_picture: Callable[[Luma], None] | None = None
    """Is shown the brightness of each picture of the presenter, (height, width)."""

    @classmethod
    async def join(cls, url: str, token: str) -> RoomPerson:
        """Joins; raises `rtc.ConnectError` where the token is not accepted."""
        self = cls.__new__(cls)
        self.events, self._mouth, self._tasks = [], asyncio.Queue(), []
        self.room = rtc.Room()
        self.room.on("track_subscribed", self._subscribe)
        self.room.on("data_received", lambda packet: self._note(json.loads(packet.data)))
        await self.room.connect(url, token)
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=60)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._breathe()))
        return self

    async def send(self, message: dict[str, Any]) -> None:
        await self.room.local_participant.publish_data(json.dumps(message))

    async def close(self) -> None:
        await super().close()
        await self.room.disconnect()

    def _subscribe(self, track: rtc.Track, *_: Any) -> None:
        async def look() -> None:
            async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
                frame = event.frame
                rows = np.frombuffer(frame.data, np.uint8)[: frame.height * frame.width]
                if self.on_picture is not None:
                    self.on_picture(rows.reshape(frame.height, frame.width))

        if track.kind == rtc.TrackKind.KIND_VIDEO:
            self._tasks.append(asyncio.create_task(look()))
            return

        async def listen() -> None:
            async for event in rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1):
                if max(map(abs, array("h", bytes(event.frame.data))), default=0) > SOFTEST:
                    self._note({"type": "sound"})

        self._tasks.append(asyncio.create_task(listen()))

    async def _breathe(self) -> None:
        while True:
            # `capture_frame` waits while its queue is full: in real time.
            sound = silence(0.02) if self._mouth.empty() else self._mouth.get_nowait()
            await self._source.capture_frame(rtc.AudioFrame(sound, RATE_HZ, 1, FRAME // 2))


class PeerPerson(Person):
    """A browser, as far as WebRTC goes: offers a microphone and a data channel."""

    @classmethod
    async def connect(
        cls,
        url: str,
        token: str,
        headers: dict[str, str],
        *,
        on_picture: Callable[[Luma], None] | None = None,
        way: LossyWay | None = None,
    ) -> PeerPerson:
        """`on_picture` is shown the presenter; without it no video is asked for. All packets pass `way`."""
        self = cls.__new__(cls)
        self._on_picture = on_picture
        self.events, self._mouth, self._tasks = [], asyncio.Queue(), []
        self.peer = RTCPeerConnection()
        self.peer.addTrack(_Microphone(self._mouth))
        if on_picture is not None:
            self.peer.addTransceiver("video", direction="recvonly")
        self.channel = self.peer.createDataChannel("events")
        self.channel.on("message", lambda data: self._note(json.loads(data)))
        self.peer.on("track", self._subscribe)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        description = self.peer.localDescription.sdp
        if way is not None:
            description = await way.replace_address(description)
        offer = {"sdp": description, "type": "offer", "token": token}
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            self.answer = await client.post(url, json=offer)
        if self.answer.is_success:
            answer = self.answer.json()
            if way is not None:
                answer["sdp"] = await way.replace_address(answer["sdp"])
            await self.peer.setRemoteDescription(RTCSessionDescription(**answer))
        return self

    async def send(self, message: dict[str, Any]) -> None:
        self.channel.send(json.dumps(message))

    async def close(self) -> None:
        await super().close()
        await self.peer.close()

    def _subscribe(self, track: MediaStreamTrack) -> None:
        async def look() -> None:
            while True:
                frame = await track.recv()
                if self._on_picture is not None:
                    self._on_picture(frame.to_ndarray(format="gray"))

        if track.kind == "video":
            self._tasks.append(asyncio.create_task(look()))
            return

        async def listen() -> None:
            resampler = AudioResampler("s16", "mono", RATE_HZ)
            while True:
                for frame in resampler.resample(await track.recv()):
                    if abs(frame.to_ndarray()).max() > SOFTEST:
                        self._note({"type": "sound"})

        self._tasks.append(asyncio.create_task(listen()))


class _Microphone(MediaStreamTrack):
    """Speech or silence in real time."""

    kind = "audio"

    def __init__(self, mouth: asyncio.Queue[bytes]) -> None:
        super().__init__()
        self._mouth = mouth
        self._sent = 0
        self._began_s = 0.0

    async def recv(self) -> AudioFrame:
        clock = asyncio.get_running_loop().time
        self._began_s = self._began_s or clock()
        await asyncio.sleep(max(0.0, self._began_s + self._sent / RATE_HZ - clock()))
        sound = silence(0.02) if self._mouth.empty() else self._mouth.get_nowait()
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME // 2)
        frame.planes[0].update(sound)
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._sent, Fraction(1, RATE_HZ)
        self._sent += FRAME // 2
        return frame
