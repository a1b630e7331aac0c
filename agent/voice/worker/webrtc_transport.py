"""pipecat's transport for one WebRTC peer, with captions that take the way over the server."""

from __future__ import annotations

from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCOutputTransport, SmallWebRTCTransport

from agent.voice.worker.link import SessionLink
from agent.voice.worker.output import ServerMessages


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
