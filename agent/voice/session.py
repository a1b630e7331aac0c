"""One voice session: its person, its worker, and what is sent to both; used by `sessions` and its parts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from avatar.spec import RenderSpec
from fastapi import WebSocket, WebSocketDisconnect

from agent.events import BrainEvent
from agent.voice.recording_files import Recording
from agent.voice.schemas import INPUT_HZ, OUTPUT_HZ, TransportName, VoiceSession, VoiceState
from agent.voice.transports.person import BroadcastPerson, PersonLink, RelayedPerson
from policy import Principal
from soundstage.database import utcnow
from soundstage.errors import Forbidden, NotFound, SoundstageError
from soundstage.tasks import create_task_in
from soundstage.views import read_view
from studio.personas.schemas import Persona


@dataclass(slots=True, eq=False)
class Session:
    """A session, its person and its worker."""

    id: str
    principal: Principal
    persona: Persona
    created_at: datetime
    transport: TransportName = "websocket"
    face: RenderSpec | None = None
    """The presenter as a video track; None where the page draws one, or none is shown."""
    broadcast: BroadcastPerson | None = None
    """Where the presenter is broadcast to, in the place of a person."""
    face_failure: dict[str, Any] | None = None
    """What a person who connects is shown about it."""
    origin: str = ""
    """The page of another site that shows it; see `embedding`."""
    token_sha256: bytes = b""
    token_expires_at: datetime | None = None
    state: VoiceState = "waiting"
    muted: bool = False
    recording: Recording | None = None
    person: PersonLink | None = None
    worker: WebSocket | None = None
    assigned_to: WebSocket | None = None
    """The control socket of the worker that was asked last."""
    assigned_at: datetime | None = None
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
    followed: set[str] = field(default_factory=set)
    """Ids of the videos whose end the person is told; see `render_announcements`."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def view(self) -> VoiceSession:
        return read_view(
            VoiceSession,
            self,
            session_id=self.id,
            video=self.face is not None,
            persona_id=self.persona.id,
            connected=self.person is not None,
            recorded=self.is_recorded,
        )

    def is_of(self, principal: Principal) -> bool:
        """Returns whether it is this principal's own."""
        mine = self.principal
        return (mine.tenant, mine.id) == (principal.tenant, principal.id)

    @property
    def is_recorded(self) -> bool:
        return self.recording is not None and self.recording.goes_on

    @property
    def room(self) -> str:
        return f"voice-{self.id}"

    @property
    def is_relayed(self) -> bool:
        """Returns whether sound goes between person and worker, and events over the worker."""
        return self.transport != "websocket"

    @property
    def has_own_guard(self) -> bool:
        """Returns whether no socket with the person's key or login guards it: their rights are read anew."""
        return self.is_relayed or bool(self.origin)

    @property
    def needs_worker(self) -> bool:
        """Returns whether a worker has to serve it now; one without a person waits, but in a room."""
        return self.worker is None and (self.is_relayed or self.person is not None)

    def create_token(self, expires_at: datetime) -> str:
        """Returns a token that opens the person's socket once; earlier ones are void."""
        token = secrets.token_urlsafe(24)
        self.token_sha256, self.token_expires_at = _digest(token), expires_at
        return token

    def redeem(self, token: str) -> None:
        """Uses a token up. Raises `voice.bad_token`."""
        is_right = hmac.compare_digest(_digest(token), self.token_sha256)
        if not is_right or self.token_expires_at is None or self.token_expires_at < utcnow():
            raise bad_token()
        self.token_expires_at = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something for this session beside its sockets; it ends with the session."""
        create_task_in(self.tasks, work)

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
        if self.face_failure is not None:
            await self.show(self.face_failure)

    async def show_state(self) -> None:
        """Sends the person the state of the session."""
        state = {"state": self.state, "muted": self.muted, "recorded": self.is_recorded}
        await self.show({"type": "state", **state})

    async def set_state(self, state: VoiceState) -> None:
        """Shows the person a state that is new."""
        if self.state != state:
            self.state = state
            await self.show_state()

    async def mute(self, muted: bool) -> None:
        """Drops the person's sound from now on, or lets it pass again."""
        self.muted = muted
        if self.is_relayed:
            await self.instruct({"type": "mute", "muted": muted})
        await self.show_state()

    async def show_recording(self) -> None:
        """Has the worker record from now on, or no longer, and shows the person which."""
        await self.instruct_recording()
        await self.show_state()

    async def instruct_recording(self) -> None:
        """Names the worker whether it records."""
        await self.instruct({"type": "record", "on": self.is_recorded})

    async def show_face(self, face: RenderSpec | None) -> None:
        """Has the worker draw this presenter from now on; None ends the video."""
        if face != self.face:
            self.face, self.face_failure = face, None
            await self.instruct_face()

    async def instruct_face(self) -> None:
        """Names the worker the presenter."""
        spec = None if self.face is None else self.face.model_dump(mode="json")
        await self.instruct({"type": "face", "spec": spec})

    async def fail_face(self, failure: dict[str, Any]) -> None:
        """Notes that the worker cannot show the presenter, and shows the person why."""
        self.face_failure = failure
        await self.show(failure)

    async def note_presence(self, *, connected: bool) -> None:
        """Notes that the person has joined the worker's room or peer connection, or left it."""
        if connected:
            self.person = RelayedPerson(self.instruct)
            await self.show_ready()
        else:
            self.person, self.left_at = None, utcnow()
            await self.instruct({"type": "interrupt"})

    async def announce(self, text: str) -> None:
        """Has the worker say something that is no answer, after what is being said."""
        if self.person is not None:
            await self.instruct({"type": "announce", "text": text})

    async def instruct(self, message: dict[str, Any]) -> None:
        """Sends a message to the worker, where one is connected."""
        await send_json(self.worker, message)

    async def emit(self, ref: int, event: BrainEvent) -> None:
        """Sends both sides an event of the answer `ref`."""
        data = event.model_dump(mode="json", exclude_none=True)
        await self.show({"type": "event", "event": data})
        await self.instruct({"type": "event", "ref": ref, "event": data})


async def socket_messages(socket: WebSocket) -> AsyncIterator[str | bytes]:
    """Yields what comes on a socket until it is closed: sound as bytes, everything else as text.

    Then `socket.state.closed_with` is the code of the other side (RFC 6455 §7.4.1).
    """
    with suppress(WebSocketDisconnect):
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            sound = message.get("bytes")
            yield sound if sound is not None else message.get("text") or ""
        socket.state.closed_with = message.get("code")


async def send_json(socket: WebSocket | None, message: dict[str, Any]) -> bool:
    """Sends JSON; returns False for a socket that is gone."""
    if socket is None:
        return False
    try:
        await socket.send_json(message)
    except (WebSocketDisconnect, RuntimeError):
        # Starlette raises these for a socket that was closed meanwhile.
        return False
    return True


async def send_bytes(socket: WebSocket | None, sound: bytes) -> None:
    if socket is not None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_bytes(sound)


async def close_socket(socket: WebSocket, code: int) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code)


def failure_message(error: SoundstageError) -> dict[str, Any]:
    """Returns the message that shows a person an error."""
    return {"type": "error", "code": error.code, "message": error.message, "hint": error.hint}


def bad_token() -> Forbidden:
    return Forbidden(
        "voice.bad_token",
        "The token of this voice session is wrong, used or too old.",
        "Open the session again with its `session_id`; the answer has a new token.",
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def session_not_found(session_id: str) -> NotFound:
    """Returns the error for a session that has ended, or is not one's own."""
    return NotFound(
        "voice.not_found", f"There is no voice session {session_id[:80]}.", "Open one; it may have ended."
    )
