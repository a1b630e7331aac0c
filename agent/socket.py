"""Chat over WebSocket at `/api/chat/ws`: the same events as over REST, for many answers on one connection."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.brain import Brain
from agent.events import BrainEvent, Failure
from agent.schemas import MAX_UTTERANCE_CHARS, ChatRequest
from agent.sessions.service import Conversation
from agent.turns.runner import TurnRunner, brain_event
from policy import Principal, require_permission
from soundstage.errors import Invalid, SoundstageError, TooLarge, Unavailable
from soundstage.telemetry import trace

MOST_AT_ONCE = 16
CHATTING = require_permission("chat:use")
Chatter = Annotated[Principal, Depends(CHATTING)]


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    session_id: str = Field(max_length=80)
    turn: int = Field(ge=1, le=1_000_000_000)


class Say(ChatRequest):
    """Says a sentence; its events come back with the same `ref`."""

    type: Literal["say"]
    ref: str | None = Field(default=None, max_length=80)


class Read(_Turn):
    """Asks for a turn again, from its beginning, until its end."""

    type: Literal["read"]
    ref: str | None = Field(default=None, max_length=80)


class Cancel(_Turn):
    """Ends an answer; its own events tell that."""

    type: Literal["cancel"]
    ref: str | None = Field(default=None, max_length=80)


Wish = Annotated[Say | Read | Cancel, Field(discriminator="type")]
_WISH: TypeAdapter[Wish] = TypeAdapter(Wish)


def socket_router(brain: Brain, answering: TurnRunner) -> APIRouter:
    """The one WebSocket route of the chat."""
    router = APIRouter(prefix="/api/chat", tags=["chat"])

    @router.websocket("/ws")
    async def chat(socket: WebSocket, principal: Chatter) -> None:
        """Each message in is a `say`, `read` or `cancel`; each one out is `{"ref": …, "event": {…}}`.

        An answer goes on when the connection breaks; `read` brings it back.
        """
        await socket.accept()
        await _Connection(socket, principal, brain, answering).serve()

    return router


class _Connection:
    """One socket and the answers that are told on it."""

    def __init__(self, socket: WebSocket, principal: Principal, brain: Brain, answering: TurnRunner) -> None:
        self._socket = socket
        self._principal = principal
        self._brain = brain
        self._answering = answering
        self._telling: set[asyncio.Task[None]] = set()
        self._last: Conversation | None = None

    async def serve(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._take(message)
        except WebSocketDisconnect:
            return
        finally:
            # Only the telling ends here, not the answers.
            for task in self._telling:
                task.cancel()
            if self._telling:
                await asyncio.wait(self._telling)

    async def _take(self, message: Mapping[str, Any]) -> None:
        ref: str | None = None
        try:
            wish = _parsed(message)
            ref = wish.ref
            # A socket may live for days, longer than the key that opened it.
            self._principal = await CHATTING.again(self._socket)
            # Who has many answers being told must still be able to end one.
            most = MOST_AT_ONCE * 2 if isinstance(wish, Cancel) else MOST_AT_ONCE
            if len(self._telling) >= most:
                raise Unavailable(
                    "chat.too_many_at_once",
                    f"More than {MOST_AT_ONCE} answers are being told on this connection.",
                    "Wait for the end of one.",
                )
        except SoundstageError as error:
            await self._fail(ref, error)
            return
        task = asyncio.create_task(self._grant(wish))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _grant(self, wish: Wish) -> None:
        try:
            with trace(inherit=False):
                async with aclosing(await self._events(wish)) as events:
                    async for event in events:
                        await self._send(wish.ref, event)
        except SoundstageError as error:
            await self._fail(wish.ref, error)
        except (WebSocketDisconnect, RuntimeError):
            # Starlette's words for a socket that was closed meanwhile; `serve` ends by itself.
            return

    async def _events(self, wish: Wish) -> AsyncGenerator[BrainEvent, None]:
        match wish:
            case Say():
                conversation = await self._conversation(wish)
                return await self._answering.ask(
                    conversation, wish.message, follow=wish.follow, request_id=wish.request_id
                )
            case Cancel():
                await self._answering.cancel(self._principal, wish.session_id, wish.turn)
                return _nothing()
            case Read():
                return self._read(wish)

    async def _conversation(self, wish: Say) -> Conversation:
        """Most go on with the one before. Whether it is there, and theirs, and with whom it is held, is asked
        when the turn begins.
        """
        last = self._last
        if last is None or wish.session_id != last.id or self._principal.id != last.principal.id:
            sessions = self._brain.sessions
            last = await sessions.open(self._principal, wish.session_id, debug=wish.debug)
        self._last = replace(last, principal=self._principal, debug=wish.debug, dry_run=wish.dry_run)
        return self._last

    async def _read(self, wish: Read) -> AsyncGenerator[BrainEvent, None]:
        told = self._answering.follow(self._principal, wish.session_id, wish.turn)
        async with aclosing(told) as events:
            async for event in events:
                yield brain_event(event)

    async def _fail(self, ref: str | None, error: SoundstageError) -> None:
        await self._send(ref, Failure(code=error.code, message=error.message, hint=error.hint))

    async def _send(self, ref: str | None, event: BrainEvent) -> None:
        data = event.model_dump(mode="json", exclude_none=True)
        await self._socket.send_text(json.dumps({"ref": ref, "event": data}, ensure_ascii=False))


async def _nothing() -> AsyncGenerator[BrainEvent, None]:
    no_events: tuple[BrainEvent, ...] = ()
    for event in no_events:
        yield event


def _parsed(message: Mapping[str, Any]) -> Wish:
    text = message.get("text")
    if text is None:
        raise Invalid("chat.not_text", "Binary messages are not understood here.", "Send JSON as text.")
    if len(text) > MAX_UTTERANCE_CHARS * 2:
        raise TooLarge("chat.too_long", "This message is too long.", "Send less at a time.")
    try:
        return _WISH.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "message"
        raise Invalid(
            "chat.bad_message",
            f"{where[:80]}: {first['msg'][:200]}",
            'Send {"type": "say", "message": "…"}, or a read or cancel with session_id and turn.',
        ) from error
