"""REST and WebSocket of live sessions at `/api/session`: a persona answers with its voice."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from types import NoneType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, WebSocket, WebSocketDisconnect, status
from pydantic import ValidationError

from agent.live.schemas import (
    ErrorEvent,
    ListenerState,
    MessageAnswer,
    MessageRequest,
    SessionOpened,
    SessionRequest,
)
from agent.live.service import LiveSessions
from policy import Principal, require_permission
from soundstage.errors import Invalid, SoundstageError
from soundstage.events.store import MAX_ID
from soundstage.http import web_socket_url

MAX_MESSAGE_CHARS = 1000
_GONE = asyncio.CancelledError | WebSocketDisconnect | RuntimeError
CHATTING = require_permission("chat:use")
Chatter = Annotated[Principal, Depends(CHATTING)]
After = Annotated[int | None, Query(ge=0, le=MAX_ID, description="the id of the last event seen")]


def live_router(live: LiveSessions, public_url: str | None = None) -> APIRouter:
    """Routes below `/api/session`. `public_url` is how people reach the server, where that is set."""
    router = APIRouter(prefix="/api/session", tags=["live sessions"])

    @router.post("", status_code=status.HTTP_201_CREATED)
    async def open_session(body: SessionRequest, request: Request, principal: Chatter) -> SessionOpened:
        """Opens a conversation with one persona. `wsUrl` streams its states while it answers."""
        session_id, config = await live.open(principal, body.personaId)
        return SessionOpened(
            sessionId=session_id, wsUrl=_ws_url(request, public_url, session_id), personaConfig=config
        )

    @router.post("/{session_id}/message")
    async def send_message(
        session_id: str, body: MessageRequest, request: Request, principal: Chatter
    ) -> MessageAnswer:
        """Sends a message to the persona; it answers with text, sound and feeling.

        The text is that of any answer; of a longer one the first minute or so is spoken.
        """

        async def still_there() -> bool:
            return not await request.is_disconnected()

        return await live.message(principal, session_id, body.message, still_there)

    @router.websocket("/{session_id}/events")
    async def events(socket: WebSocket, session_id: str, principal: Chatter, after: After = None) -> None:
        """Streams states, the text, mouth shapes and feelings of the persona. `after` resumes.

        A page may send `{"type": "listening"}` when its person begins to speak or write, and `idle` when
        they end without a message.
        """
        await _Listener(socket, live, principal, session_id).serve(after)

    return router


class _Listener:
    """One page that follows one session."""

    def __init__(self, socket: WebSocket, live: LiveSessions, principal: Principal, session_id: str) -> None:
        self._socket = socket
        self._live = live
        self._principal = principal
        self._session_id = session_id

    async def serve(self, after: int | None) -> None:
        events = self._live.follow(self._principal, self._session_id, after)
        async with aclosing(events):
            # Refused before it is accepted: an unknown session closes the handshake with its reason.
            first = await anext(events)
            await self._socket.accept()
            await self._socket.send_text(first.model_dump_json(exclude_none=True))
            sending = asyncio.create_task(self._send(events))
            receiving = asyncio.create_task(self._receive())
            try:
                await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Both are cancelled before a result is read: an error of one must not leave the other.
                sending.cancel()
                receiving.cancel()
                for ended in await asyncio.gather(sending, receiving, return_exceptions=True):
                    if not isinstance(ended, NoneType | _GONE):
                        raise ended

    async def _send(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            await self._socket.send_text(event.model_dump_json(exclude_none=True))

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                request = _parse(message)
                # A socket may live for days, longer than the key that opened it.
                self._principal = await CHATTING.reauthorize(self._socket)
                await self._live.set_listening(self._principal, self._session_id, request.type)
            except SoundstageError as error:
                failure = ErrorEvent(code=error.code, message=error.message, hint=error.hint)
                await self._socket.send_text(failure.model_dump_json(exclude_none=True))


def _parse(message: Mapping[str, Any]) -> ListenerState:
    text = message.get("text")
    if text is None or len(text) > MAX_MESSAGE_CHARS:
        raise _bad_message()
    try:
        return ListenerState.model_validate_json(text)
    except ValidationError as error:
        raise _bad_message() from error


def _bad_message() -> Invalid:
    return Invalid(
        "session.bad_message",
        "This message is not understood here.",
        'Send {"type": "listening"} or {"type": "idle"} as text; messages go to POST …/message.',
    )


def _ws_url(request: Request, public_url: str | None, session_id: str) -> str:
    return f"{web_socket_url(public_url or str(request.base_url))}/api/session/{session_id}/events"
