"""pipecat's transport for LiveKit, with captions that take the way over the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from livekit import rtc
from pipecat.frames.frames import OutputTransportMessageFrame, OutputTransportMessageUrgentFrame
from pipecat.transports.livekit.transport import (
    LiveKitOutputTransport,
    LiveKitOutputTransportMessageUrgentFrame,
    LiveKitParams,
    LiveKitTransport,
)

from agent.voice.worker.link import SessionLink
from agent.voice.worker.live_face import Picture
from agent.voice.worker.output import ServerMessages

BITRATE = 2_000_000
FPS = 25.0


def room_params(queue_ms: int) -> LiveKitParams:
    return LiveKitParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_queue_size_ms=queue_ms)


class RoomTransport(LiveKitTransport):
    """A participant of a room. What its pipeline says goes to the server; `show` reaches the person."""

    def __init__(self, link: SessionLink, url: str, token: str, room: str, params: LiveKitParams) -> None:
        super().__init__(url, token, room, params)
        self._link = link
        self._source: rtc.VideoSource | None = None

    def output(self) -> LiveKitOutputTransport:
        if self._output is None:
            self._output = _RoomOutput(self._link, self, self._client, self._params)
        return self._output

    def watch(self, identity: str, on_present: Callable[[bool], None]) -> None:
        """Calls back with True each time a participant can receive data, with False when they no longer can.

        Who has joined is not active yet: LiveKit drops data for them until their transport is up, seconds
        later on a busy machine. Who comes back in another window has the same identity and another sid, and
        may be active before pipecat's own handler tells that the first one has left.
        """
        room = self._client.room
        active: set[str] = set()

        def note(participant: rtc.RemoteParticipant, is_there: bool) -> None:
            if participant.identity != identity or is_there is (participant.sid in active):
                return
            (active.add if is_there else active.discard)(participant.sid)
            if is_there or not active:
                on_present(is_there)

        room.on("participant_active", lambda one: note(one, True))
        room.on("participant_disconnected", lambda one: note(one, False))
        for participant in list(room.remote_participants.values()):
            if participant.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
                note(participant, True)

    async def show(self, message: dict[str, Any], person: str) -> None:
        """Sends an event to the person."""
        text = json.dumps(message)
        await self.output().send_message(LiveKitOutputTransportMessageUrgentFrame(text, person))

    async def send_picture(self, picture: Picture) -> None:
        """Sends a picture of the presenter on a video track, which the first one publishes."""
        if self._source is None:
            source = rtc.VideoSource(picture.width, picture.height)
            track = rtc.LocalVideoTrack.create_video_track("presenter", source)
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                video_codec=rtc.VideoCodec.H264,
                video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=FPS),
            )
            await self._client.room.local_participant.publish_track(track, options)
            self._source = source
        frame = rtc.VideoFrame(picture.width, picture.height, rtc.VideoBufferType.I420, picture.data)
        self._source.capture_frame(frame, timestamp_us=round(picture.at_s * 1_000_000))


class _RoomOutput(ServerMessages, LiveKitOutputTransport):
    """The output of a participant; what is addressed to a person goes into the room."""

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        if isinstance(frame, LiveKitOutputTransportMessageUrgentFrame):
            await LiveKitOutputTransport.send_message(self, frame)
        else:
            await super().send_message(frame)
