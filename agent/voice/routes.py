"""REST of voice sessions at `/api/voice`, and the sockets of persons and of voice workers."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket, status

from agent.voice.broadcasts import Broadcasts
from agent.voice.schemas import (
    Broadcast,
    BroadcastRequest,
    BroadcastText,
    MuteRequest,
    Offer,
    OfferAnswer,
    RecordingRequest,
    VoiceRoom,
    VoiceSession,
    VoiceSessionOpened,
    VoiceSessionRequest,
    VoiceStatus,
)
from agent.voice.sessions import VoiceSessions
from agent.voice.transports.available import Transports
from agent.voice.worker_token import check_worker
from policy import Principal, public, require_permission
from soundstage.http import web_socket_url
from studio.renders.schemas import RenderView

Chatter = Annotated[Principal, Depends(require_permission("chat:use"))]
Renderer = Annotated[Principal, Depends(require_permission("render:create"))]
Viewer = Annotated[Principal, Depends(require_permission("publication:read"))]
Publisher = Annotated[Principal, Depends(require_permission("publication:create"))]
Token = Annotated[str, Query(max_length=200, description="the token of the session")]
WORKERS = public("voice workers show the token of this installation")
EMBEDDED = public("pages of other sites show the token of one session")
LIVEKIT = public("LiveKit signs its webhooks with the key that both share")


def voice_router(
    voice: VoiceSessions,
    broadcasts: Broadcasts,
    transports: Transports,
    state_dir: Path,
    public_url: str | None = None,
) -> APIRouter:
    """Routes below `/api/voice`. `public_url` is how people reach the server, where that is set."""
    router = APIRouter(prefix="/api/voice", tags=["voice"])

    @router.post("/session", status_code=status.HTTP_201_CREATED)
    async def open_voice_session(
        body: VoiceSessionRequest, request: Request, principal: Chatter
    ) -> VoiceSessionOpened:
        """Opens a voice session with an agent, or comes back to one. Its id is that of the conversation.

        Transport `websocket`: connect to `url` with `token` in the query: 16-bit PCM in and out as binary
        messages, events as JSON. `livekit`: join the room at `url` with `token`. `webrtc`: post an offer with
        the token to `url`, with audio first and, for `video`, a video to receive. With both, events and
        requests are JSON on the data channel.
        """
        session, token, expires_at = await voice.open(
            principal, body.agent_id, body.session_id, body.transport, body.origin, video=body.video
        )
        return VoiceSessionOpened(
            **session.model_dump(),
            url=_url_of(session, request, "embedded" if body.origin else "session"),
            token=token,
            token_expires_at=expires_at,
            ice_servers=list(transports.settings.stun_servers) if session.transport == "webrtc" else [],
        )

    def _url_of(session: VoiceSession, request: Request, kind: str) -> str:
        if session.transport == "livekit":
            return transports.settings.livekit.reached_at
        base = (public_url or str(request.base_url)).rstrip("/")
        if session.transport == "webrtc":
            return f"{base}/api/voice/session/{session.session_id}/offer"
        return f"{web_socket_url(base)}/api/voice/{kind}/{session.session_id}/sound"

    @router.get("/status")
    async def voice_status(principal: Chatter) -> VoiceStatus:
        """Returns which transports can be used, and how many workers and sessions there are."""
        return voice.status()

    @router.get("/rooms")
    async def list_voice_rooms(principal: Chatter) -> list[VoiceRoom]:
        """Returns the rooms of one's own voice sessions, with the number of their participants."""
        return list(await voice.rooms(principal))

    @router.delete("/rooms/{room}", status_code=status.HTTP_204_NO_CONTENT)
    async def end_voice_room(room: str, principal: Chatter) -> None:
        """Ends a room and its session. What was said stays in the conversation."""
        await voice.end(principal, room.removeprefix("voice-"))

    @router.post("/session/{session_id}/offer")
    async def offer_webrtc(session_id: str, body: Offer, principal: Chatter) -> OfferAnswer:
        """Answers a browser's session description (SDP) for the transport `webrtc`."""
        return OfferAnswer(sdp=await voice.offer(principal, session_id, body.token, body.sdp))

    @router.post("/livekit/webhook", status_code=status.HTTP_204_NO_CONTENT, dependencies=[Depends(LIVEKIT)])
    async def receive_livekit_event(request: Request) -> None:
        """Takes a webhook of the LiveKit server, signed with the key that both share."""
        await voice.receive_room_event(await request.body(), request.headers.get("authorization", ""))

    @router.post("/session/{session_id}/recording", status_code=status.HTTP_201_CREATED)
    async def record_voice_session(
        session_id: str, body: RecordingRequest, principal: Renderer
    ) -> VoiceSession:
        """Records one's own session from now on, for a video of it; it ends with the session, or after an
        hour, and its video is queued then.
        """
        session = voice.find(principal, session_id)
        await voice.recordings.start(session, with_person=body.with_person)
        return session.view()

    @router.post("/session/{session_id}/recording/video", status_code=status.HTTP_202_ACCEPTED)
    async def end_voice_recording(session_id: str, principal: Renderer) -> RenderView:
        """Ends the recording and queues a video of it."""
        return await voice.recordings.finish(voice.find(principal, session_id))

    @router.delete("/session/{session_id}/recording", status_code=status.HTTP_204_NO_CONTENT)
    async def discard_voice_recording(session_id: str, principal: Chatter) -> None:
        """Ends the recording and deletes what was recorded."""
        await voice.recordings.discard(voice.find(principal, session_id))

    @router.get("/sessions")
    async def list_voice_sessions(principal: Chatter) -> list[VoiceSession]:
        """Returns one's own voice sessions, the latest first."""
        return voice.list(principal)

    @router.get("/session/{session_id}")
    async def voice_session(session_id: str, principal: Chatter) -> VoiceSession:
        """Returns one's own voice session: its state, and whether it is muted and connected."""
        return voice.find(principal, session_id).view()

    @router.post("/session/{session_id}/mute")
    async def mute_voice_session(session_id: str, body: MuteRequest, principal: Chatter) -> VoiceSession:
        """Drops the person's sound, or lets it pass again."""
        session = voice.find(principal, session_id)
        await session.mute(body.muted)
        return session.view()

    @router.delete("/session/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
    async def end_voice_session(session_id: str, principal: Chatter) -> None:
        """Ends a voice session. What was said stays in the conversation."""
        await voice.end(principal, session_id)

    @router.websocket("/session/{session_id}/sound")
    async def sound(socket: WebSocket, session_id: str, principal: Chatter, token: Token = "") -> None:
        """The person's socket: sound both ways, and what the page shows."""
        await voice.serve_person(socket, principal, session_id, token)

    @router.websocket("/embedded/{session_id}/sound", dependencies=[Depends(EMBEDDED)])
    async def sound_of_site(socket: WebSocket, session_id: str, token: Token = "") -> None:
        """The socket of a page of another site, for which the session was opened with its `origin`."""
        await voice.serve_embedded(socket, session_id, token)

    @router.post("/broadcasts", status_code=status.HTTP_201_CREATED)
    async def start_broadcast(body: BroadcastRequest, principal: Publisher) -> Broadcast:
        """Begins a broadcast of a presenter to a target of the settings (`voice.broadcasts`)."""
        return await broadcasts.start(principal, body.to, body.agent_id)

    @router.get("/broadcasts")
    async def list_broadcasts(principal: Viewer) -> list[Broadcast]:
        """Returns the broadcasts of one's tenant, the latest first."""
        return list(await broadcasts.list())

    @router.post("/broadcasts/{session_id}/say")
    async def say_in_broadcast(session_id: str, body: BroadcastText, principal: Publisher) -> Broadcast:
        """Has the presenter say a text, word for word, after what is being said."""
        return await broadcasts.read(session_id, body.text)

    @router.post("/broadcasts/{session_id}/interrupt")
    async def interrupt_broadcast(session_id: str, principal: Publisher) -> Broadcast:
        """Ends what is being said; the broadcast goes on."""
        return await broadcasts.interrupt(session_id)

    @router.delete("/broadcasts/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
    async def stop_broadcast(session_id: str, principal: Publisher) -> None:
        """Ends a broadcast."""
        await broadcasts.stop(session_id)

    @router.websocket("/workers", dependencies=[Depends(WORKERS)])
    async def workers(socket: WebSocket) -> None:
        """The control socket of a voice worker."""
        check_worker(socket, state_dir)
        await voice.serve_workers(socket)

    @router.get(
        "/workers/{session_id}/files/{sha256}", dependencies=[Depends(WORKERS)], include_in_schema=False
    )
    async def face_file(session_id: str, sha256: str, request: Request) -> Response:
        """Returns a file of the presenter whom the worker of this session draws."""
        check_worker(request, state_dir)
        content = await voice.read_face_file(session_id, sha256)
        return Response(content, media_type="application/octet-stream")

    @router.websocket("/workers/{session_id}", dependencies=[Depends(WORKERS)])
    async def session_of_worker(socket: WebSocket, session_id: str) -> None:
        """The socket on which a voice worker serves one session."""
        check_worker(socket, state_dir)
        await voice.serve_session_of_worker(socket, session_id)

    return router
