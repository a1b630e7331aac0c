"""Voice sessions of one server: opens them, and passes sound and answers between person and voice worker.

A person and a worker's socket meet here, over one of the `transports`. The worker hears and decides whose
turn it is; this process answers, with the rights of the person, and makes the sound of the answer. When a
worker dies, the person stays connected and the next worker takes the session over.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from agent.events import BrainEvent, Failure, TurnBegan
from agent.live.feelings import feelings, strongest
from agent.live.lexicon import lexicon_of
from agent.live.service import speakable_text
from agent.sessions.service import SessionService
from agent.turns.runner import TurnRunner
from agent.voice.schemas import (
    INPUT_HZ,
    MORE,
    OUTPUT_HZ,
    PERSON_MESSAGE,
    SHEET,
    WORKER_MESSAGE,
    Ask,
    Cancel,
    Described,
    FromPerson,
    Mute,
    Played,
    Presence,
    Speak,
    TellState,
    TransportName,
    VoiceRoom,
    VoiceSession,
    VoiceState,
    VoiceStatus,
)
from agent.voice.transports.available import Transports
from agent.voice.transports.person import PersonLink, RelayedPerson, SocketPerson
from policy import Principal
from soundstage.background import Worker
from soundstage.database import utcnow
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, SoundstageError, Unavailable
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger, trace
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import Persona
from studio.personas.speaking import PersonaSpeech, Utterance

TOKEN_LIFE = timedelta(seconds=60)
RECONNECT = timedelta(seconds=60)
"""Who comes back within this time goes on where they were; a session without a person ends after it."""
POLL_S = 5.0
OFFER_TIMEOUT_S = 20.0
MAX_SESSIONS = 200
MAX_PER_PRINCIPAL = 10
MAX_SOUND_BYTES = 64_000
"""Two seconds of sound in one message."""
CACHED_SENTENCES = 256
PAST_TURNS = 16
DEFAULT_PERSONA = "nova"
TAKEN_OVER = 4001
"""Closes the socket of a person who has opened the session elsewhere (RFC 6455 §7.4.2)."""
ENDED = 4000
log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Session:
    """A session, its person and its worker."""

    id: str
    principal: Principal
    persona: Persona
    created_at: datetime
    transport: TransportName = "websocket"
    token_sha256: bytes = b""
    token_expires_at: datetime | None = None
    state: VoiceState = "waiting"
    muted: bool = False
    person: PersonLink | None = None
    worker: WebSocket | None = None
    assigned_to: WebSocket | None = None
    """The control socket of the worker that was asked last."""
    has_worker: asyncio.Event = field(default_factory=asyncio.Event)
    offers: dict[int, asyncio.Future[str]] = field(default_factory=dict)
    """Offers that wait for the worker's description."""
    left_at: datetime = field(default_factory=utcnow)
    turns: dict[int, tuple[str, int]] = field(default_factory=dict)
    """The turn of each answer that runs, by the worker's ref."""
    past_turns: OrderedDict[int, tuple[str, int]] = field(default_factory=OrderedDict)
    """The last turns by ref, those that have ended too: their sound may still be playing."""
    cancelled: set[int] = field(default_factory=set)
    """Answers that were interrupted before their turn had begun."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def view(self) -> VoiceSession:
        return VoiceSession(
            session_id=self.id,
            room=self.room,
            transport=self.transport,
            state=self.state,
            muted=self.muted,
            persona_id=self.persona.id,
            connected=self.person is not None,
            created_at=self.created_at,
        )

    @property
    def room(self) -> str:
        return f"voice-{self.id}"

    @property
    def is_relayed(self) -> bool:
        """Returns whether sound goes between person and worker, and events over the worker."""
        return self.transport != "websocket"

    @property
    def needs_worker(self) -> bool:
        """Returns whether a worker has to serve it now; one without a person waits, but in a room."""
        return self.worker is None and (self.is_relayed or self.person is not None)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something for this session beside its sockets; it ends with the session."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def show(self, message: dict[str, Any]) -> None:
        """Sends a message to the person, where one is connected."""
        if self.person is not None:
            await self.person.send(message)

    async def show_ready(self) -> None:
        """Greets a person who has connected."""
        await self.show(
            {"type": "ready", "session_id": self.id, "input_hz": INPUT_HZ, "output_hz": OUTPUT_HZ}
        )
        await self.show_state()

    async def show_state(self) -> None:
        """Sends the person the state of the session."""
        await self.show({"type": "state", "state": self.state, "muted": self.muted})

    async def instruct(self, message: dict[str, Any]) -> None:
        """Sends a message to the worker, where one is connected."""
        await _send(self.worker, message)

    async def emit(self, ref: int, event: BrainEvent) -> None:
        """Sends both sides an event of the answer `ref`."""
        data = event.model_dump(mode="json", exclude_none=True)
        await self.show({"type": "event", "event": data})
        await self.instruct({"type": "event", "ref": ref, "event": data})


class VoiceSessions:
    """The voice sessions of this process. The conversation is stored; who is connected is not."""

    def __init__(
        self,
        sessions: SessionService,
        runner: TurnRunner,
        library: PersonaLibrary,
        speech: PersonaSpeech,
        read_names: Callable[[Principal], Coroutine[Any, Any, dict[str, list[str]]]],
        transports: Transports,
        find_principal: Callable[[Principal], Awaitable[Principal | None]],
    ) -> None:
        """`find_principal` returns a principal with the rights of now; None when the key was revoked."""
        self._sessions = sessions
        self._runner = runner
        self._library = library
        self._speech = speech
        self._read_names = read_names
        self._transports = transports
        self._find_principal = find_principal
        self._refs = count(1)
        self._open: dict[str, _Session] = {}
        self._workers: set[WebSocket] = set()
        self._ending: asyncio.Task[None] | None = None
        self._sounds: OrderedDict[tuple[str, str], Utterance] = OrderedDict()
        self.worker = Worker("voice sessions", self._end_left, poll_s=POLL_S)
        """Ends sessions whose person has not come back."""

    async def open(
        self,
        principal: Principal,
        persona_id: str | None,
        session_id: str | None,
        transport: TransportName | None = None,
    ) -> tuple[VoiceSession, str, datetime]:
        """Opens a session, or comes back to one; returns it, its token and the token's end.

        Raises `voice.no_worker`, `voice.too_many`, `voice.no_transport`, `voice.no_livekit`,
        `session.not_found`, `persona.not_found`, `consent.…`.
        """
        transport = self._transports.choose(transport)
        if not self._workers:
            raise Unavailable(
                "voice.no_worker",
                "No voice worker is connected.",
                "Install the extra with `uv sync --extra voice`; `soundstage up` starts a worker then.",
                headers={"Retry-After": "5"},
            )
        own = len(self._owned_by(principal))
        is_new = session_id is None or session_id not in self._open
        if is_new and (len(self._open) >= MAX_SESSIONS or own >= MAX_PER_PRINCIPAL):
            raise Unavailable(
                "voice.too_many",
                "Too many voice sessions are open.",
                "End one of them.",
                headers={"Retry-After": "10"},
            )
        conversation = await self._sessions.open(principal, session_id, persona_id=persona_id)
        persona = self._library.get(persona_id or conversation.persona_id or DEFAULT_PERSONA)
        await self._speech.check(persona)
        session = self._open.get(conversation.id)
        if session is None:
            session = _Session(conversation.id, principal, persona, utcnow())
            self._open[conversation.id] = session
        session.persona = persona
        session.start(self._warm_up(persona))
        if session.transport != transport:
            await self._hang_up(session)
            session.transport = transport
        if session.person is None:
            session.left_at = utcnow()
        token, expires_at = await self._create_token(session)
        if session.needs_worker:
            session.start(self._assign(session))
        return session.view(), token, expires_at

    async def _create_token(self, session: _Session) -> tuple[str, datetime]:
        """Returns a token for the session's transport, and its end."""
        expires_at = utcnow() + TOKEN_LIFE
        if session.transport == "livekit":
            rooms = self._transports.livekit()
            await rooms.create(session.room)
            session.token_sha256, session.token_expires_at = b"", None
            return rooms.person_token(session.room, session.principal.id, TOKEN_LIFE), expires_at
        token = secrets.token_urlsafe(24)
        session.token_sha256, session.token_expires_at = _digest(token), expires_at
        return token, expires_at

    async def offer(self, principal: Principal, session_id: str, token: str, sdp: str) -> str:
        """Has the worker answer a browser's offer. Raises `voice.bad_token`, `voice.bad_offer`,
        `voice.no_worker`.
        """
        session = self._own(principal, session_id)
        if session.transport != "webrtc":
            raise Conflict(
                "voice.other_transport",
                f"This session uses the transport {session.transport}.",
                'Open it again with `"transport": "webrtc"`.',
            )
        self._redeem(session, token)
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
        transports = self._transports.names()
        return VoiceStatus(workers=len(self._workers), sessions=len(self._open), transports=transports)

    async def rooms(self, principal: Principal) -> Sequence[VoiceRoom]:
        """Returns the rooms of one's own sessions, with who is in them. Raises `voice.no_livekit`."""
        own = self._owned_by(principal)
        found: dict[str, int] = {}
        if any(one.transport == "livekit" for one in own):
            found = await self._transports.livekit().participants()
        return [
            VoiceRoom(
                room=one.room,
                session_id=one.id,
                transport=one.transport,
                participants=found.get(one.room, int(one.person is not None)),
            )
            for one in own
        ]

    async def end_room(self, principal: Principal, room: str) -> None:
        """Ends the session of a room. Raises `voice.not_found`."""
        await self.end(principal, room.removeprefix("voice-"))

    async def receive_room_event(self, body: bytes, token: str) -> None:
        """Takes a webhook of LiveKit: a person comes, goes, or the room has ended. Raises
        `voice.bad_signature`.
        """
        event = self._transports.verify(body, token)
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

    def get(self, principal: Principal, session_id: str) -> VoiceSession:
        """Returns one's own session. Raises `voice.not_found`."""
        return self._own(principal, session_id).view()

    def list(self, principal: Principal) -> list[VoiceSession]:
        """Returns one's own sessions, the latest first."""
        own = sorted(self._owned_by(principal), key=lambda one: one.created_at, reverse=True)
        return [one.view() for one in own]

    async def mute(self, principal: Principal, session_id: str, *, muted: bool) -> VoiceSession:
        """Drops the person's sound from now on, or lets it pass again."""
        session = self._own(principal, session_id)
        await self._mute(session, muted)
        return session.view()

    async def end(self, principal: Principal, session_id: str) -> None:
        """Ends a session: closes both sockets and cancels its answers. The conversation stays."""
        await self._end(self._own(principal, session_id))

    async def serve_person(
        self, socket: WebSocket, principal: Principal, session_id: str, token: str
    ) -> None:
        """Serves a person's socket until it closes. Raises, before it is accepted, `voice.not_found` and
        `voice.bad_token`.
        """
        session = self._own(principal, session_id)
        self._redeem(session, token)
        await socket.accept()
        person = SocketPerson(socket)
        before, session.person = session.person, person
        if before is not None:
            await before.close(TAKEN_OVER)
        await session.show_ready()
        if session.worker is None:
            await self._assign(session)
        try:
            await self._receive_from_person(session, socket)
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
            async for _ in _messages(socket):
                pass
        finally:
            self._workers.discard(socket)
            log.info("voice.worker_disconnected", workers=len(self._workers))

    async def serve_session_of_worker(self, socket: WebSocket, session_id: str) -> None:
        """Serves the socket on which a worker hears one session. Raises `voice.not_found`, `voice.taken`."""
        session = self._open.get(session_id)
        if session is None:
            raise _not_found(session_id)
        if session.worker is not None:
            raise Conflict("voice.taken", "Another worker serves this session.", "Serve another one.")
        session.worker = socket
        try:
            await socket.accept()
            if session.is_relayed and session.muted:
                await session.instruct({"type": "mute", "muted": True})
            session.has_worker.set()
            await self._receive_from_worker(session, socket)
        finally:
            session.worker = None
            session.has_worker.clear()
            session.turns.clear()
            if session.id in self._open:
                await self._set_state(session, "waiting")
                await session.show({"type": "stop"})
                if session.is_relayed:
                    session.person, session.left_at = None, utcnow()
                if session.needs_worker:
                    await self._assign(session)

    async def close(self) -> None:
        """Ends every session at the end of the process."""
        await self.worker.close()
        for session in list(self._open.values()):
            await self._end(session)
        for worker in list(self._workers):
            await _close(worker, ENDED)

    async def _assign(self, session: _Session) -> None:
        """Asks the worker with the fewest sessions to serve this one."""
        names = await self._read_names(session.principal)
        message = {"type": "serve", "session_id": session.id, "names": names}
        if session.is_relayed:
            message["transport"] = self._transports.for_worker(
                session.transport, session.room, session.principal.id
            )
        load = Counter(one.assigned_to for one in self._open.values() if one is not session)
        for worker in sorted(self._workers, key=lambda one: load[one]):
            session.assigned_to = worker
            if await _send(worker, message):
                return

    async def _receive_from_person(self, session: _Session, socket: WebSocket) -> None:
        async for message in _messages(socket):
            if isinstance(message, bytes):
                if len(message) > MAX_SOUND_BYTES or len(message) % 2:
                    await session.show(_failure(_bad_sound()))
                elif not session.muted:
                    await _send_bytes(session.worker, message)
                continue
            await self._take_request(session, message)

    async def _take_request(self, session: _Session, message: str) -> None:
        """Does what a message of the person asks for."""
        try:
            request = PERSON_MESSAGE.validate_json(message)
        except ValidationError:
            await session.show(_failure(_bad_message()))
            return
        if isinstance(request, Mute):
            await self._mute(session, request.muted)
        else:
            await session.instruct(request.model_dump())

    async def _receive_from_worker(self, session: _Session, socket: WebSocket) -> None:
        async for message in _messages(socket):
            if isinstance(message, bytes):
                if session.person is not None:
                    await session.person.send_sound(message)
                continue
            try:
                request = WORKER_MESSAGE.validate_json(message)
            except ValidationError as error:
                log.warning("voice.bad_worker_message", session=session.id, errors=error.error_count())
                continue
            if isinstance(request, Ask):
                session.start(self._answer(session, request))
            elif isinstance(request, Speak):
                session.start(self._speak(session, request))
            elif isinstance(request, Cancel):
                session.start(self._cancel(session, request.ref))
            elif isinstance(request, TellState):
                await self._set_state(session, request.data.state)
            elif isinstance(request, Presence):
                await self._note_presence(session, connected=request.connected)
            elif isinstance(request, FromPerson):
                await self._take_request(session, request.message)
            elif isinstance(request, Described):
                waiting = session.offers.get(request.ref)
                if waiting is not None and not waiting.done():
                    waiting.set_result(request.sdp)
            elif isinstance(request, Played):
                session.start(self._note_played(session, request))
            else:
                await session.show({"type": request.type, **request.data})

    async def _answer(self, session: _Session, request: Ask) -> None:
        """Runs a turn and sends its events to both sides."""
        try:
            with trace(inherit=False):
                await self._authorize(session)
                conversation = await self._sessions.open(session.principal, session.id)
                events = await self._runner.ask(conversation, request.text)
                async with aclosing(events):
                    async for item in events:
                        event = item.event
                        if isinstance(event, TurnBegan):
                            session.turns[request.ref] = (event.session_id, event.turn)
                            session.past_turns[request.ref] = (event.session_id, event.turn)
                            while len(session.past_turns) > PAST_TURNS:
                                session.past_turns.popitem(last=False)
                            if request.ref in session.cancelled:
                                session.start(self._cancel(session, request.ref))
                        await session.emit(request.ref, event)
        except SoundstageError as error:
            await session.emit(request.ref, Failure.of(error))
        finally:
            session.turns.pop(request.ref, None)
            session.cancelled.discard(request.ref)
            await session.instruct({"type": "answered", "ref": request.ref})

    async def _cancel(self, session: _Session, ref: int) -> None:
        """Ends the answer that the person interrupted; one that has not begun yet, as soon as it begins."""
        turn = session.turns.get(ref)
        if turn is None:
            session.cancelled.add(ref)
            return
        with suppress(SoundstageError):
            await self._runner.cancel(session.principal, *turn)

    async def _authorize(self, session: _Session) -> None:
        """Raises `voice.not_found` for a person whose key has ended. On a socket of their own the check of
        each message ends it; here the sound takes another way.
        """
        if session.is_relayed:
            principal = await self._find_principal(session.principal)
            if principal is None or not principal.may("chat:use"):
                # From a task of its own: ending a session cancels its tasks, and this may be one.
                self._ending = asyncio.create_task(self._end(session))
                raise _not_found(session.id)

    async def _note_presence(self, session: _Session, *, connected: bool) -> None:
        if connected:
            session.person = RelayedPerson(session.instruct)
            await session.show_ready()
        else:
            session.person, session.left_at = None, utcnow()
            await session.instruct({"type": "interrupt"})

    async def _note_played(self, session: _Session, played: Played) -> None:
        """Notes in the conversation how far the person heard an answer."""
        turn = session.past_turns.get(played.ref)
        if turn is None:
            return
        with suppress(SoundstageError):
            await self._runner.cancel(session.principal, *turn)
            await self._sessions.note_played(session.principal, *turn, played.text)
        await session.show({"type": "played", "text": played.text})

    async def _speak(self, session: _Session, request: Speak) -> None:
        """Makes the sound of a text; common sentences come from the last ones that were made."""
        text = speakable_text(request.text)
        utterance = None
        try:
            if text:
                utterance = await self._sound_of(session.persona, text)
        except SoundstageError as error:
            # The text is shown all the same.
            await session.show(_failure(error))
        sound: dict[str, Any] = {"type": "sound", "ref": request.ref, "text": text, "wav": ""}
        if utterance is not None:
            sheet = utterance.sheet.model_dump(mode="json", include=set(SHEET))
            felt = feelings(text, lexicon_of(session.persona.style.language))
            sheet |= {"emotion": strongest(felt), "intensity": max(one.intensity for one in felt)}
            sound |= {"wav": base64.b64encode(utterance.sound).decode("ascii"), **sheet}
        await session.instruct(sound)

    async def _sound_of(self, persona: Persona, text: str) -> Utterance:
        """Returns the sound of a text in a persona's voice; the last ones are cached."""
        key = (persona.model_dump_json(include={"voice", "style"}), text)
        utterance = self._sounds.get(key) or await self._speech.say(persona, text)
        self._sounds[key] = utterance
        self._sounds.move_to_end(key)
        while len(self._sounds) > CACHED_SENTENCES:
            self._sounds.popitem(last=False)
        return utterance

    async def _warm_up(self, persona: Persona) -> None:
        """Makes a sentence that is often said, so that a speaking process waits for the first answer."""
        with suppress(SoundstageError):
            await self._sound_of(persona, MORE)

    async def _set_state(self, session: _Session, state: VoiceState) -> None:
        if session.state != state:
            session.state = state
            await session.show_state()

    async def _mute(self, session: _Session, muted: bool) -> None:
        session.muted = muted
        if session.is_relayed:
            await session.instruct({"type": "mute", "muted": muted})
        await session.show_state()

    async def _end(self, session: _Session) -> None:
        self._open.pop(session.id, None)
        for turn in list(session.turns.values()):
            with suppress(SoundstageError):
                await self._runner.cancel(session.principal, *turn)
        await cancel_all(session.tasks)
        await self._hang_up(session)

    async def _hang_up(self, session: _Session) -> None:
        """Disconnects person and worker, and ends the room."""
        if session.person is not None:
            await session.person.close(ENDED)
            session.person = None
        if session.worker is not None:
            await _close(session.worker, ENDED)
        if session.transport == "livekit":
            with suppress(SoundstageError):
                await self._transports.livekit().delete(session.room)

    def _own(self, principal: Principal, session_id: str) -> _Session:
        session = self._open.get(session_id)
        if session is None or not _is_owner(session, principal):
            raise _not_found(session_id)
        return session

    def _redeem(self, session: _Session, token: str) -> None:
        expires_at, expected = session.token_expires_at, session.token_sha256
        is_right = hmac.compare_digest(_digest(token), expected)
        if not is_right or expires_at is None or expires_at < utcnow():
            raise Forbidden(
                "voice.bad_token",
                "The token of this voice session is wrong, used or too old.",
                "Open the session again with its `session_id`; the answer has a new token.",
            )
        session.token_expires_at = None

    def _owned_by(self, principal: Principal) -> Sequence[_Session]:
        return [one for one in self._open.values() if _is_owner(one, principal)]

    async def _end_left(self) -> None:
        limit = utcnow() - RECONNECT
        for session in list(self._open.values()):
            if session.person is None and session.left_at < limit:
                await self._end(session)
            else:
                with suppress(NotFound):
                    await self._authorize(session)


def _is_owner(session: _Session, principal: Principal) -> bool:
    return (session.principal.tenant, session.principal.id) == (principal.tenant, principal.id)


async def _messages(socket: WebSocket) -> AsyncIterator[str | bytes]:
    """Yields what comes on a socket until it is closed: sound as bytes, everything else as text."""
    with suppress(WebSocketDisconnect):
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            sound = message.get("bytes")
            yield sound if sound is not None else message.get("text") or ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def _send(socket: WebSocket | None, message: dict[str, Any]) -> bool:
    """Sends JSON; returns False for a socket that is gone."""
    if socket is None:
        return False
    try:
        await socket.send_json(message)
    except (WebSocketDisconnect, RuntimeError):
        # Starlette raises these for a socket that was closed meanwhile.
        return False
    return True


async def _send_bytes(socket: WebSocket | None, sound: bytes) -> None:
    if socket is not None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_bytes(sound)


async def _close(socket: WebSocket, code: int) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code)


def _failure(error: SoundstageError) -> dict[str, Any]:
    return {"type": "error", "code": error.code, "message": error.message, "hint": error.hint}


def _not_found(session_id: str) -> NotFound:
    return NotFound(
        "voice.not_found", f"There is no voice session {session_id[:80]}.", "Open one; it may have ended."
    )


def _bad_sound() -> Invalid:
    return Invalid(
        "voice.bad_sound",
        "This sound cannot be used.",
        f"Send 16-bit PCM, mono, {INPUT_HZ} samples a second, in messages of at most two seconds.",
    )


def _bad_message() -> Invalid:
    return Invalid(
        "voice.bad_message",
        "This message is not understood here.",
        'Send sound as binary messages; as text {"type": "interrupt"}, `mute` or `say`.',
    )
