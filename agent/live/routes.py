"""REST and WebSocket of live sessions at `/api/session`: a persona answers with its voice."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from types import NoneType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, WebSocket, WebSocketDisconnect, status
from pydantic import ValidationError

from agent.live.schemas import ErrorEvent, Heard, MessageAnswer, MessageRequest, SessionOpened, SessionRequest
from agent.live.service import LiveSessions
from policy import Principal, require_permission
from soundstage.errors import Invalid, SoundstageError
from soundstage.events.store import MAX_ID

MOST_HEARD_CHARS = 1000
_GONE = asyncio.CancelledError | WebSocketDisconnect | RuntimeError
CHATTING = require_permission("chat:use")
Chatter = Annotated[Principal, Depends(CHATTING)]
After = Annotated[int | None, Query(ge=0, le=MAX_ID, description="the id of the last event seen")]


def live_router(live: LiveSessions, public_url: str | None = None) -> APIRouter:
    """Routes below `/api/session`. `public_url` is how people reach the server, where that is set."""
    router = APIRouter(prefix="/api/session", tags=["live sessions"])

    @router.post("", status_code=status.HTTP_201_CREATED)
    async def open_session(wish: SessionRequest, request: Request, principal: Chatter) -> SessionOpened:
        """A conversation with one persona. `wsUrl` tells what it does while it answers."""
        session_id, config = await live.open(principal, wish.personaId)
        return SessionOpened(
            sessionId=session_id, wsUrl=_ws_url(request, public_url, session_id), personaConfig=config
        )

    @router.post("/{session_id}/message")
    async def send_message(
        session_id: str, wish: MessageRequest, request: Request, principal: Chatter
    ) -> MessageAnswer:
        """Says something to the persona; it answers with text, sound and feeling.

        The text is what the agent answers everywhere; a longer one is said up to about a minute of it.
        """

        async def still_there() -> bool:
            return not await request.is_disconnected()

        return await live.message(principal, session_id, wish.message, still_there)

    @router.websocket("/{session_id}/events")
    async def events(socket: WebSocket, session_id: str, principal: Chatter, after: After = None) -> None:
        """What the persona does: states, the text, mouth shapes and feelings. `after` resumes.

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
            telling = asyncio.create_task(self._tell(events))
            hearing = asyncio.create_task(self._hear())
            try:
                await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Both, before either is looked at: what the first raises may not leave the second behind.
                telling.cancel()
                hearing.cancel()
                for ended in await asyncio.gather(telling, hearing, return_exceptions=True):
                    if not isinstance(ended, NoneType | _GONE):
                        raise ended

    async def _tell(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            await self._socket.send_text(event.model_dump_json(exclude_none=True))

    async def _hear(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                wish = _heard(message)
                # A socket may live for days, longer than the key that opened it.
                self._principal = await CHATTING.again(self._socket)
                await self._live.heard(self._principal, self._session_id, wish.type)
            except SoundstageError as error:
                told = ErrorEvent(code=error.code, message=error.message, hint=error.hint)
                await self._socket.send_text(told.model_dump_json(exclude_none=True))


def _heard(message: Mapping[str, Any]) -> Heard:
    text = message.get("text")
    if text is None or len(text) > MOST_HEARD_CHARS:
        raise _bad_message()
    try:
        return Heard.model_validate_json(text)
    except ValidationError as error:
        raise _bad_message() from error


def _bad_message() -> Invalid:
    return Invalid(
        "session.bad_message",
        "This message is not understood here.",
        'Send {"type": "listening"} or {"type": "idle"} as text; messages go to POST …/message.',
    )


def _ws_url(request: Request, public_url: str | None, session_id: str) -> str:
    base = (public_url or str(request.base_url)).rstrip("/")
    scheme, _, rest = base.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/api/session/{session_id}/events"
