"""Events as Server-Sent Events (WHATWG HTML §9.2), resumed by Last-Event-ID; for the routes of every room."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType

from fastapi import Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from soundstage.errors import Invalid
from soundstage.events.filter import EventFilter
from soundstage.events.schemas import Event
from soundstage.events.store import ALL_EVENTS, EventStore

# Told to the browser: how long to wait before it comes back after a broken connection.
RETRY_MS = 1000


def last_event_id(request: Request) -> int | None:
    """The id that the reader has seen last: header first, else the query; None when it asks for neither.

    A browser sends the header only when it comes back; a page that resumes after a reload has to put the id
    into the query, where it stays while the browser comes back, so the header knows better.
    """
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(
            "events.bad_last_event_id",
            "Last-Event-ID is not the id of an event.",
            "Send the `id` of the last event you received, or leave it out.",
        )
    return int(text)


def sse_response(
    request: Request,
    store: EventStore,
    stream: str | None = None,
    *,
    after: int = 0,
    event_filter: EventFilter = ALL_EVENTS,
    until: Callable[[Event], bool] | None = None,
    heartbeat_s: float | None = None,
) -> EventSourceResponse:
    """Follows `stream` (None: all those of `event_filter`) from where the reader was, else from the event id
    `after`.

    Each message has the global event id, the kind as its event name and the whole event as JSON. `until` ends
    the answer after the first event for which it says True, and a browser that then comes back gets 204. A
    comment line goes out every `heartbeat_s` seconds of silence.
    """
    seen = last_event_id(request)
    start = after if seen is None else seen

    async def messages() -> AsyncIterator[ServerSentEvent]:
        # Closed at once when the reader goes away, not when the garbage collector comes by.
        async with aclosing(store.follow(stream, start, event_filter)) as events:
            async for found in events:
                yield message_of(found)
                if until is not None and until(found):
                    return

    async def is_over() -> bool:
        """Returns whether the reader has seen the end already, and came back only because browsers always
        do.
        """
        if until is None or not seen:
            return False
        last = await store.read(stream, after=seen - 1, limit=1)
        return bool(last) and last[0].id == seen and until(last[0])

    return _EventStream(
        messages(),
        is_over,
        ping=heartbeat_s or store.heartbeat_s,
        headers=STREAM_HEADERS,
    )


STREAM_HEADERS = MappingProxyType({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
"""Of answers that come in pieces: nginx would otherwise hold them back until its buffer is full."""


class _EventStream(EventSourceResponse):
    """An event stream that answers 204 when it is over, which tells a browser not to come back (§9.2.3)."""

    def __init__(
        self,
        content: AsyncIterator[ServerSentEvent],
        is_over: Callable[[], Awaitable[bool]],
        *,
        ping: float,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content, ping=ping, headers=headers)
        self._is_over = is_over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await self._is_over():
            await Response(status_code=204)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def message_of(found: Event) -> ServerSentEvent:
    """One event as one SSE message."""
    text = json.dumps(found.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(data=text, event=found.kind, id=str(found.id), retry=RETRY_MS)
