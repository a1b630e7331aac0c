"""Chat over WebSocket at `/api/chat/ws`: the events of REST, for many answers on one connection."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from agent.brain import Brain
from agent.events import BrainEvent, Failure
from agent.schemas import MAX_UTTERANCE_CHARS, ChatRequest
from agent.sessions.service import Conversation
from agent.turns.presentation import socket_message
from agent.turns.runner import TurnEvents, TurnRunner
from policy import Principal, require_permission
from soundstage.errors import Invalid, SoundstageError, TooLarge, Unavailable
from soundstage.tasks import cancel_all, create_task_in
from soundstage.telemetry import trace

MAX_STREAMS = 16
CHATTING = require_permission("chat:use")
Chatter = Annotated[Principal, Depends(CHATTING)]


class _Turn(BaseModel, extra="forbid"):
    session_id: str = Field(max_length=80)
    turn: int = Field(ge=1, le=1_000_000_000)


class Say(ChatRequest):
    """Says a sentence; its events come back with the same `ref`."""

    type: Literal["say"]
    ref: str | None = Field(default=None, max_length=80)


class Read(_Turn):
    """Streams a turn from its beginning until its end."""

    type: Literal["read"]
    ref: str | None = Field(default=None, max_length=80)


class Cancel(_Turn):
    """Ends an answer; its own events say so."""

    type: Literal["cancel"]
    ref: str | None = Field(default=None, max_length=80)


SocketRequest = Annotated[Say | Read | Cancel, Field(discriminator="type")]
_SOCKET_REQUEST: TypeAdapter[SocketRequest] = TypeAdapter(SocketRequest)


def socket_router(brain: Brain, runner: TurnRunner) -> APIRouter:
    """Returns the one WebSocket route of the chat."""
    router = APIRouter(prefix="/api/chat", tags=["chat"])

    @router.websocket("/ws")
    async def chat(socket: WebSocket, principal: Chatter) -> None:
        """Each message in is a `say`, `read` or `cancel`; each one out is `{"ref": …, "event": {…}}`.

        An answer goes on when the connection breaks; `read` brings it back.
        """
        await socket.accept()
        await _Connection(socket, principal, brain, runner).serve()

    return router


class _Connection:
    """One socket and the answers that stream on it."""

    def __init__(self, socket: WebSocket, principal: Principal, brain: Brain, runner: TurnRunner) -> None:
        self._socket = socket
        self._principal = principal
        self._brain = brain
        self._runner = runner
        self._streams: set[asyncio.Task[None]] = set()
        self._last: Conversation | None = None

    async def serve(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._receive(message)
        except WebSocketDisconnect:
            return
        finally:
            # Only the streams end here, not the answers.
            await cancel_all(self._streams)

    async def _receive(self, message: Mapping[str, Any]) -> None:
        ref: str | None = None
        try:
            request = _parse(message)
            ref = request.ref
            # A socket may live for days, longer than the key that opened it.
            self._principal = await CHATTING.reauthorize(self._socket)
            # A client with many streams must still be able to end one.
            maximum = MAX_STREAMS * 2 if isinstance(request, Cancel) else MAX_STREAMS
            if len(self._streams) >= maximum:
                raise Unavailable(
                    "chat.too_many_at_once",
                    f"More than {MAX_STREAMS} answers are being told on this connection.",
                    "Wait for the end of one.",
                )
        except SoundstageError as error:
            await self._send(ref, Failure.of(error))
            return
        create_task_in(self._streams, self._stream(request))

    async def _stream(self, request: SocketRequest) -> None:
        try:
            with trace(inherit=False):
                if (events := await self._events(request)) is None:
                    return
                async with aclosing(events):
                    async for item in events:
                        await self._send(request.ref, item.event)
        except SoundstageError as error:
            await self._send(request.ref, Failure.of(error))
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises these for a socket that was closed meanwhile; `serve` ends by itself.
            return

    async def _events(self, request: SocketRequest) -> TurnEvents | None:
        match request:
            case Say():
                conversation = await self._conversation(request)
                return await self._runner.ask(
                    conversation, request.message, follow=request.follow, request_id=request.request_id
                )
            case Cancel():
                await self._runner.cancel(self._principal, request.session_id, request.turn)
                return None
            case Read():
                return self._runner.follow(self._principal, request.session_id, request.turn)

    async def _conversation(self, request: Say) -> Conversation:
        """Returns the conversation of a request, mostly the one before. `begin_turn` checks that it exists,
        its owner and its persona.
        """
        last = self._last
        if last is None or request.session_id != last.id or self._principal.id != last.principal.id:
            sessions = self._brain.sessions
            last = await sessions.open(self._principal, request.session_id, debug=request.debug)
        self._last = replace(last, principal=self._principal, debug=request.debug, dry_run=request.dry_run)
        return self._last

    async def _send(self, ref: str | None, event: BrainEvent) -> None:
        await self._socket.send_text(socket_message(ref, event))


def _parse(message: Mapping[str, Any]) -> SocketRequest:
    text = message.get("text")
    if text is None:
        raise Invalid("chat.not_text", "Binary messages are not understood here.", "Send JSON as text.")
    if len(text) > MAX_UTTERANCE_CHARS * 2:
        raise TooLarge("chat.too_long", "This message is too long.", "Send less at a time.")
    try:
        return _SOCKET_REQUEST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "message"
        raise Invalid(
            "chat.bad_message",
            f"{where[:80]}: {first['msg'][:200]}",
            'Send {"type": "say", "message": "…"}, or a read or cancel with session_id and turn.',
        ) from error
