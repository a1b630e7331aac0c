"""Voice sessions of one server: opens them, and passes sound and answers between person and voice worker.

A person and a worker's socket meet here, over one of the `transports`. The worker hears and decides whose
turn it is; this process answers, with the rights of the person, and makes the sound of the answer. When a
worker dies, the person stays connected and the next worker takes the session over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from avatar.spec import RenderSpec
from fastapi import WebSocket

from agent.sessions.service import SessionService
from agent.transcription.service import TranscriptionService
from agent.turns.render_watch import RenderWatch
from agent.turns.runner import TurnRunner
from agent.voice.embedding import check_embedded, check_origin
from agent.voice.limits import check_limits
from agent.voice.recordings import Recordings
from agent.voice.relay import Relay
from agent.voice.render_announcements import RenderAnnouncements
from agent.voice.schemas import (
    Requestable,
    TransportName,
    VoiceRoom,
    VoiceSession,
    VoiceState,
    VoiceStatus,
)
from agent.voice.session import (
    Session,
    bad_token,
    close_socket,
    failure_message,
    send_json,
    session_not_found,
    socket_messages,
)
from agent.voice.speech import SessionSpeech
from agent.voice.transports.available import Transports
from agent.voice.transports.person import BroadcastPerson, SocketPerson
from agent.voice.turns import SessionTurns
from policy import Principal
from soundstage.background import Worker
from soundstage.database import utcnow
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Conflict, Invalid, NotFound, SoundstageError, Unavailable
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger
from studio.personas.library import PersonaLibrary
from studio.personas.live_face import LiveFaces
from studio.personas.schemas import Persona
from studio.personas.speaking import PersonaSpeech

TOKEN_LIFE = timedelta(seconds=60)
RECONNECT = timedelta(seconds=60)
"""Who comes back within this time goes on where they were; a session without a person ends after it."""
REASSIGN = timedelta(seconds=30)
"""So long a worker may take to serve a session before another one, or the same, is asked."""
POLL_S = 5.0
OFFER_TIMEOUT_S = 20.0
DEFAULT_PERSONA = "nova"
TAKEN_OVER = 4001
"""Closes the socket of a person who has opened the session elsewhere (RFC 6455 §7.4.2)."""
ENDED = 4000
LEFT = (1000, 1001)
"""A person's socket closes with one of these who hangs up or leaves the page; a lost one with neither."""
log = get_logger(__name__)


@dataclass
class VoiceSessions:
    """The voice sessions of this process. The conversation is stored; who is connected is not.

    `find_principal` returns a principal with the rights of now; None when the key was revoked.
    """

    sessions: SessionService
    runner: TurnRunner
    library: PersonaLibrary
    speech: PersonaSpeech
    read_names: Callable[[Principal], Coroutine[Any, Any, dict[str, list[str]]]]
    transports: Transports
    find_principal: Callable[[Principal], Awaitable[Principal | None]]
    transcription: TranscriptionService
    faces: LiveFaces
    recordings: Recordings
    watch: RenderWatch
    page_origins: Sequence[str] = ()
    """Origins of pages of other sites that may show a session."""
    _refs: count[int] = field(default_factory=lambda: count(1), init=False)
    _open: dict[str, Session] = field(default_factory=dict, init=False)
    _workers: set[WebSocket] = field(default_factory=set, init=False)
    _ending: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._speech = SessionSpeech(self.speech, self.transcription)
        announcements = RenderAnnouncements(self.watch, self.sessions)
        self._turns = SessionTurns(
            self.sessions, self.runner, self._authorize, self.transcription, announcements
        )
        self._relay = Relay(self._turns, self._speech, self.recordings)
        self.worker = Worker("voice sessions", self._end_left, poll_s=POLL_S)
        """Ends sessions whose person has not come back."""

    async def open(
        self,
        principal: Principal,
        persona_id: str | None,
        session_id: str | None,
        transport: Requestable | None = None,
        origin: str | None = None,
        *,
        video: bool = False,
    ) -> tuple[VoiceSession, str, datetime]:
        """Opens a session, or comes back to one; returns it, its token and the token's end.

        `origin`: of the page of another site that shows it; `video`: the presenter comes as a video track.
        Raises `voice.no_worker`, `voice.too_many`, `voice.too_many_videos`, `voice.no_transport`,
        `voice.no_livekit`, `voice.foreign_origin`, `voice.no_video`, `voice.face_not_drawn`,
        `session.not_found`, `persona.not_found`, `consent.…`.
        """
        if origin is not None:
            origin = check_origin(origin, self.page_origins, transport)
            transport = "websocket"
        chosen = self.transports.choose(transport, video=video)
        session, face = await self._take_in(principal, persona_id, session_id, video=video)
        way = (chosen, origin or "")
        if (session.transport, session.origin) != way:
            # Who is connected came in by other checks. The end of a room is then not the session's.
            before = session.transport
            session.transport, session.origin = chosen, origin or ""
            await self._hang_up(session, before)
        await session.show_face(face)
        if session.person is None:
            session.left_at = utcnow()
        token, expires_at = await self._create_token(session)
        if session.needs_worker:
            session.start(self._assign(session))
        return session.view(), token, expires_at

    async def open_broadcast(
        self, principal: Principal, persona_id: str | None, target: str, session_id: str | None = None
    ) -> Session:
        """Opens a session whose presenter is broadcast, or opens it again; see `broadcasts`."""
        session, face = await self._take_in(principal, persona_id, session_id, video=True)
        session.transport = "broadcast"
        session.broadcast = session.person = BroadcastPerson(target)
        await session.show_face(face)
        session.start(self._assign(session))
        return session

    def all(self) -> Sequence[Session]:
        """Returns every open session."""
        return list(self._open.values())

    def find(self, principal: Principal, session_id: str) -> Session:
        """Returns one's own session. Raises `voice.not_found`."""
        session = self._open.get(session_id)
        if session is None or not session.is_of(principal):
            raise session_not_found(session_id)
        return session

    async def _take_in(
        self, principal: Principal, persona_id: str | None, session_id: str | None, *, video: bool
    ) -> tuple[Session, RenderSpec | None]:
        """Returns the session of a conversation, open from now on, and with `video` its presenter's spec."""
        if not self._workers:
            raise Unavailable(
                "voice.no_worker",
                "No voice worker is connected.",
                "Install the extra with `uv sync --extra voice`; `soundstage up` starts a worker then.",
                headers={"Retry-After": "5"},
            )
        check_limits(self._open, principal, session_id, self.transports.settings, video=video)
        conversation = await self.sessions.open(principal, session_id, persona_id=persona_id)
        persona = self.library.get(persona_id or conversation.persona_id or DEFAULT_PERSONA)
        await self.speech.check(persona)
        face = await self._face_of(persona) if video else None
        session = self._open.get(conversation.id)
        if session is None:
            session = Session(conversation.id, principal, persona, utcnow())
            self._open[conversation.id] = session
        session.persona = persona
        session.start(self._speech.warm_up(persona))
        return session, face

    async def _create_token(self, session: Session) -> tuple[str, datetime]:
        """Returns a token for the session's transport, and its end."""
        expires_at = utcnow() + TOKEN_LIFE
        if session.transport == "livekit":
            rooms = self.transports.livekit()
            await rooms.create(session.room)
            session.token_expires_at = None
            return rooms.person_token(session.room, session.principal.id, TOKEN_LIFE), expires_at
        return session.create_token(expires_at), expires_at

    async def _face_of(self, persona: Persona) -> RenderSpec:
        height = self.transports.settings.video_height
        return await self.faces.spec(persona, height * 16 // 9, height)

    async def read_face_file(self, session_id: str, sha256: str) -> bytes:
        """Returns a file of a session's presenter, for its worker. Raises `voice.not_found` and
        `blob.not_found`.
        """
        session = self._open.get(session_id)
        if session is None:
            raise session_not_found(session_id)
        await self._check_face(session)
        if session.face is None:
            raise session_not_found(session_id)
        with tenant_scope(session.principal.tenant):
            return await self.faces.read(session.face, sha256)

    async def _check_face(self, session: Session) -> None:
        """Ends the video of a presenter whose consent was revoked, and a broadcast as a whole."""
        if session.face is None:
            return
        try:
            with tenant_scope(session.principal.tenant):
                await self.faces.check(session.face)
        except SoundstageError as error:
            if session.broadcast is not None:
                self._ending = asyncio.create_task(self._end(session))
                return
            await session.show_face(None)
            await session.fail_face(failure_message(error))

    async def offer(self, principal: Principal, session_id: str, token: str, sdp: str) -> str:
        """Has the worker answer a browser's offer. Raises `voice.bad_token`, `voice.bad_offer`,
        `voice.no_worker`.
        """
        session = self.find(principal, session_id)
        if session.transport != "webrtc":
            raise Conflict(
                "voice.other_transport",
                f"This session uses the transport {session.transport}.",
                'Open it again with `"transport": "webrtc"`.',
            )
        session.redeem(token)
        if session.person is not None:
            await session.person.close(TAKEN_OVER)
        ref, waiting = next(self._refs), asyncio.get_running_loop().create_future()
        session.offers[ref] = waiting
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                await session.has_worker.wait()
                await session.instruct({"type": "offer", "ref": ref, "sdp": sdp})
                answer: str = await waiting
        except TimeoutError as error:
            raise Unavailable(
                "voice.no_worker", "No voice worker has taken this session.", "Open the session again."
            ) from error
        finally:
            del session.offers[ref]
        if not answer:
            raise Invalid(
                "voice.bad_offer",
                "This session description cannot be answered.",
                "Send an offer with one audio track, as a browser makes it.",
            )
        return answer

    def status(self) -> VoiceStatus:
        """Returns the number of workers and sessions, and the transports that can be used."""
        transports = self.transports.names()
        return VoiceStatus(workers=len(self._workers), sessions=len(self._open), transports=transports)

    def states(self) -> Collection[VoiceState]:
        """Returns the states of the open sessions."""
        return [one.state for one in self._open.values()]

    async def rooms(self, principal: Principal) -> Sequence[VoiceRoom]:
        """Returns the rooms of one's own sessions, with who is in them. Raises `voice.no_livekit`."""
        own = self._owned_by(principal)
        found: dict[str, int] = {}
        if any(one.transport == "livekit" for one in own):
            found = await self.transports.livekit().participants()
        return [
            VoiceRoom(
                room=one.room,
                session_id=one.id,
                transport=one.transport,
                participants=found.get(one.room, int(one.person is not None)),
            )
            for one in own
        ]

    async def receive_room_event(self, body: bytes, token: str) -> None:
        """Takes a webhook of LiveKit: a person comes, goes, or the room has ended. Raises
        `voice.bad_signature`.
        """
        event = self.transports.verify(body, token)
        session = self._open.get(event.room.removeprefix("voice-"))
        if session is None or session.transport != "livekit":
            return
        is_person = event.identity == session.principal.id
        if event.kind == "room_finished":
            await self._end(session)
        elif event.kind == "participant_joined" and is_person and session.needs_worker:
            await self._assign(session)
        elif event.kind == "participant_left" and is_person and session.worker is None:
            session.person, session.left_at = None, utcnow()

    def list(self, principal: Principal) -> list[VoiceSession]:
        """Returns one's own sessions, the latest first."""
        own = sorted(self._owned_by(principal), key=lambda one: one.created_at, reverse=True)
        return [one.view() for one in own]

    async def end(self, principal: Principal, session_id: str) -> None:
        """Ends a session: closes both sockets and cancels its answers. The conversation stays."""
        await self._end(self.find(principal, session_id))

    async def serve_person(
        self, socket: WebSocket, principal: Principal, session_id: str, token: str
    ) -> None:
        """Serves a person's socket until it closes. Raises, before it is accepted, `voice.not_found` and
        `voice.bad_token`.
        """
        session = self.find(principal, session_id)
        session.redeem(token)
        await self._serve(session, socket)

    async def serve_embedded(self, socket: WebSocket, session_id: str, token: str) -> None:
        """Serves the socket of a page of another site, which has the token alone; a visitor who leaves ends
        the session. Raises, before it is accepted, `voice.foreign_origin` and `voice.bad_token`, the latter
        also where there is no session.
        """
        session = self._open.get(session_id)
        if session is None:
            raise bad_token()
        session.redeem(token)
        check_embedded(session, socket)
        await self._serve(session, socket)
        if session.person is None and getattr(socket.state, "closed_with", None) in LEFT:
            # Strangers share the sessions of one key: nobody comes back to this one.
            await self._end(session)

    async def _serve(self, session: Session, socket: WebSocket) -> None:
        await socket.accept()
        person = SocketPerson(socket)
        before, session.person = session.person, person
        if before is not None:
            await before.close(TAKEN_OVER)
        await session.show_ready()
        if session.worker is None:
            await self._assign(session)
        try:
            await self._relay.receive_from_person(session, socket)
        finally:
            if session.person is person:
                session.person, session.left_at = None, utcnow()
                await session.instruct({"type": "interrupt"})

    async def serve_workers(self, socket: WebSocket) -> None:
        """Serves the control socket of a worker: it is told which sessions to serve."""
        await socket.accept()
        self._workers.add(socket)
        log.info("voice.worker_connected", workers=len(self._workers))
        try:
            for session in list(self._open.values()):
                if session.needs_worker:
                    await self._assign(session)
            async for _ in socket_messages(socket):
                pass
        finally:
            self._workers.discard(socket)
            log.info("voice.worker_disconnected", workers=len(self._workers))

    async def serve_session_of_worker(self, socket: WebSocket, session_id: str) -> None:
        """Serves the socket on which a worker hears one session. Raises `voice.not_found`, `voice.taken`."""
        session = self._open.get(session_id)
        if session is None:
            raise session_not_found(session_id)
        if session.worker is not None:
            raise Conflict("voice.taken", "Another worker serves this session.", "Serve another one.")
        session.worker = socket
        try:
            await socket.accept()
            if session.is_relayed and session.muted:
                await session.instruct({"type": "mute", "muted": True})
            await self._check_face(session)
            if session.face is not None:
                await session.instruct_face()
            if session.is_recorded:
                await session.instruct_recording()
            session.has_worker.set()
            await self._relay.receive_from_worker(session, socket)
        finally:
            session.worker = None
            session.has_worker.clear()
            session.turns.clear()
            if session.id in self._open:
                await session.set_state("waiting")
                await session.show({"type": "stop"})
                if session.broadcast is not None:
                    session.broadcast.state = "waiting"
                elif session.is_relayed:
                    session.person, session.left_at = None, utcnow()
                if session.needs_worker:
                    await self._assign(session)

    async def close(self) -> None:
        """Ends every session at the end of the process."""
        await self.worker.close()
        for session in list(self._open.values()):
            await self._end(session)
        for worker in list(self._workers):
            await close_socket(worker, ENDED)

    async def _assign(self, session: Session) -> None:
        """Asks the worker with the fewest sessions to serve this one."""
        names = await self.read_names(session.principal)
        reader = self.runner.reader
        things = {} if reader is None else await reader.names(session.principal)
        message = {"type": "serve", "session_id": session.id, "names": names, "things": things}
        if session.broadcast is not None:
            try:
                message["transport"] = self.transports.for_broadcast(
                    session.broadcast.target, session.principal.tenant
                )
            except SoundstageError as error:
                # Its settings or its key have gone: nobody else's session waits for that.
                session.broadcast.state, session.broadcast.error = "failed", error.message
                return
        elif session.is_relayed:
            message["transport"] = self.transports.for_worker(
                session.transport, session.room, session.principal.id
            )
        load = Counter(one.assigned_to for one in self._open.values() if one is not session)
        for worker in sorted(self._workers, key=lambda one: load[one]):
            session.assigned_to, session.assigned_at = worker, utcnow()
            if await send_json(worker, message):
                return

    async def _authorize(self, session: Session) -> None:
        """Raises `voice.not_found` for a person whose key has ended. On a socket of their own the check of
        each message ends it; here the sound takes another way, or the socket has a token alone.
        """
        if session.has_own_guard:
            principal = await self.find_principal(session.principal)
            needed = "chat:use" if session.broadcast is None else "publication:create"
            if principal is None or not principal.may(needed):
                # From a task of its own: ending a session cancels its tasks, and this may be one.
                self._ending = asyncio.create_task(self._end(session))
                raise session_not_found(session.id)

    async def _end(self, session: Session) -> None:
        self._open.pop(session.id, None)
        await self.recordings.leave(session)
        await self._turns.cancel_all(session)
        await cancel_all(session.tasks)
        await self._hang_up(session, session.transport)

    async def _hang_up(self, session: Session, transport: TransportName) -> None:
        """Disconnects person and worker, and ends the room of that transport."""
        if session.person is not None:
            await session.person.close(ENDED)
            session.person = None
        if session.worker is not None:
            await close_socket(session.worker, ENDED)
        if transport == "livekit":
            with suppress(SoundstageError):
                await self.transports.livekit().delete(session.room)

    def _owned_by(self, principal: Principal) -> Sequence[Session]:
        return [one for one in self._open.values() if one.is_of(principal)]

    async def _end_left(self) -> None:
        limit = utcnow() - RECONNECT
        for session in list(self._open.values()):
            if session.person is None and session.left_at < limit:
                await self._end(session)
                continue
            with suppress(NotFound):
                await self._authorize(session)
                await self._check_face(session)
                since = session.assigned_at
                if session.needs_worker and since is not None and since < utcnow() - REASSIGN:
                    # Its worker was asked, and has not come: its connection may have failed.
                    await self._assign(session)
