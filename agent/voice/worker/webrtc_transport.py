"""pipecat's transport for one WebRTC peer, with captions that take the way over the server."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCOutputTransport, SmallWebRTCTransport

from agent.voice.worker.link import SessionLink
from agent.voice.worker.live_face import Picture
from agent.voice.worker.output import ServerMessages

VIDEO_HZ = 90_000
"""The clock of video over RTP (RFC 3551 §5)."""
VIDEO = 1
"""The place of the camera's transceiver in an offer, as pipecat has it."""


class PeerTransport(SmallWebRTCTransport):
    """One side of a peer connection. What its pipeline says goes to the server."""

    def __init__(self, link: SessionLink, connection: SmallWebRTCConnection, params: TransportParams) -> None:
        super().__init__(connection, params)
        self._link = link

    def output(self) -> SmallWebRTCOutputTransport:
        if self._output is None:
            self._output = _PeerOutput(self._link, self._client, self._params)
        return self._output


class _PeerOutput(ServerMessages, SmallWebRTCOutputTransport):
    """The output of a peer connection."""


class FaceTrack(MediaStreamTrack):
    """The presenter as a video track. Whoever reads it gets the latest picture, each once."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._latest: VideoFrame | None = None
        self._has_picture = asyncio.Event()

    def show(self, picture: Picture) -> None:
        """Takes a picture in the place of one that was not sent yet."""
        rows = np.frombuffer(picture.data, np.uint8).reshape(picture.height * 3 // 2, picture.width)
        frame = VideoFrame.from_ndarray(rows, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        frame.pts, frame.time_base = round(picture.at_s * VIDEO_HZ), Fraction(1, VIDEO_HZ)
        self._latest = frame
        self._has_picture.set()

    async def recv(self) -> VideoFrame:
        while self._latest is None:
            self._has_picture.clear()
            await self._has_picture.wait()
        frame, self._latest = self._latest, None
        return frame


def add_face_track(connection: SmallWebRTCConnection) -> FaceTrack | None:
    """Returns the track of the presenter; None where the offer had no place for a video."""
    transceivers = connection.pc.getTransceivers()
    if len(transceivers) <= VIDEO or transceivers[VIDEO].kind != "video":
        return None
    track = FaceTrack()
    transceivers[VIDEO].sender.replaceTrack(track)
    return track
