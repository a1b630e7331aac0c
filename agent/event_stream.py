"""Streams and searches the events that a principal may read. The page follows them."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from agent.approvals.decisions import ApprovalDecisions
from agent.sessions.service import SessionService
from policy import Principal, require_permission
from soundstage.database.tenants import tenant_of
from soundstage.errors import NotFound
from soundstage.events import Event, EventFilter, EventStore, last_event_id
from soundstage.events.filter import MAX_NAMES
from soundstage.events.sse import STREAM_HEADERS, message_of
from soundstage.events.store import SEARCH_WINDOW
from soundstage.paging import LINKED, SearchText, next_link

# The first part of a stream's name, and what reading it needs. A stream that is not here is never shown:
# above all not what people say (`turn:…`), which has a route of its own.
READING = MappingProxyType(
    {
        "render": "render:read",
        "project": "project:read",
        "brand": "brand:read",
        "publication": "publication:read",
        "personas": "persona:read",
        "approvals": "approval:read",
        "session": "chat:use",
        "keys": "key:read",
        "installation": "system:read",
    }
)
MARKED = frozenset({"render", "project", "brand", "publication", "personas", "keys"})
"""Streams whose events name their tenant."""
OTHERS_SESSIONS = "audit:read"
PROGRESS = "render.progress"
RECENT_WINDOW = 5_000
"""How far back `recent` looks, in events: a reader of few must not make the server load all."""

Names = Annotated[
    list[str] | None,
    Query(
        max_length=MAX_NAMES,
        description="names separated by commas; `render.*` is every kind that begins so; `-` leaves one out",
    ),
]
Follower = Annotated[Principal, Depends(require_permission("event:read"))]


class EventReader:
    """Decides what one principal may read. Results for conversations and approvals are cached."""

    def __init__(self, principal: Principal, sessions: SessionService, decisions: ApprovalDecisions) -> None:
        self._principal = principal
        self._sessions = sessions
        self._decisions = decisions
        self._cache: dict[str, bool] = {}

    async def may_see(self, event: Event) -> bool:
        """Conversations of others need the right to read the audit record. All stays in its tenant; only the
        operator hears of the keys of others.
        """
        room, _, name = event.stream.partition(":")
        permission = READING.get(room)
        if permission is None or not self._principal.may(permission):
            return False
        if room in MARKED:
            operators_keys = room == "keys" and self._principal.is_operator
            return operators_keys or tenant_of(event.data) == self._principal.tenant
        if room == "session":
            return await self._is_there(room, name)
        if room == "approvals":
            return await self._is_there(room, str(event.data.get("id", "")))
        return True

    async def _is_there(self, room: str, name: str) -> bool:
        key = f"{room}:{name}"
        if key not in self._cache:
            try:
                if room == "session" and self._principal.may(OTHERS_SESSIONS):
                    self._cache[key] = await self._sessions.is_of_tenant(self._principal, name)
                    return self._cache[key]
                if room == "session":
                    await self._sessions.turns(self._principal, name, 1)
                else:
                    await self._decisions.approvals.get(name, self._principal)
                self._cache[key] = True
            except NotFound:
                self._cache[key] = False
        return self._cache[key]


def event_router(events: EventStore, sessions: SessionService, decisions: ApprovalDecisions) -> APIRouter:
    """`GET /api/events` and `GET /api/log`."""
    router = APIRouter(tags=["events"])

    @router.get("/api/events", response_class=EventSourceResponse)
    async def follow_all(
        request: Request,
        principal: Follower,
        kinds: Names = None,
        streams: Names = None,
        recent: Annotated[
            int, Query(ge=0, le=1000, description="how many past events come first; no `render.progress`")
        ] = 0,
    ) -> Response:
        """Server-sent events of renders, publications, personas, approvals, keys, the health of the
        installation and tool calls, as far as the caller may read them and asks for them: the latest `recent`
        ones (without drawn frames) or those after Last-Event-ID, then whatever comes.
        """
        seen = last_event_id(request)
        event_filter = EventFilter.parse(kinds or (), streams or ())
        start = await events.last_id() if seen is None else seen
        reader = EventReader(principal, sessions, decisions)
        past = (
            await recent_events(events, reader, event_filter, start, recent)
            if seen is None and recent
            else []
        )

        async def messages() -> AsyncIterator[ServerSentEvent]:
            for event in past:
                yield message_of(event)
            async with aclosing(events.follow(None, start, event_filter)) as found:
                async for event in found:
                    if await reader.may_see(event):
                        yield message_of(event)

        return EventSourceResponse(messages(), ping=round(events.heartbeat_s), headers=STREAM_HEADERS)

    @router.get("/api/log", responses=LINKED)
    async def search_log(
        request: Request,
        response: Response,
        principal: Follower,
        q: SearchText = None,
        kinds: Names = None,
        streams: Names = None,
        cursor: Annotated[
            int | None, Query(ge=1, le=2**63 - 1, description="from the `Link` of the page before")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[Event]:
        """Past events that the caller may read, the newest first. A page may hold fewer than `limit`, even
        none, and yet have a next one: `Link` says so.
        """
        event_filter = EventFilter.parse(kinds or (), streams or ())
        reader = EventReader(principal, sessions, decisions)
        top = await events.last_id() + 1 if cursor is None else cursor
        floor = max(0, top - SEARCH_WINDOW)
        found = await _readable(reader, events.search(event_filter, q, top, floor), limit)
        # Where to go on depends on what the reader sees alone: it would tell of words in events of others.
        if (on := found[-1].id if len(found) == limit else floor) > 1:
            response.headers["Link"] = next_link(request, on)
        return found

    return router


async def recent_events(
    events: EventStore, reader: EventReader, event_filter: EventFilter, last: int, count: int
) -> list[Event]:
    """Returns the latest `count` matching events up to the id `last` that may be read, the oldest first.
    Frames are left out: there are hundreds of them for each line that people read.
    """
    without_frames = replace(event_filter, kinds=(*event_filter.kinds, f"-{PROGRESS}"))
    latest = events.search(without_frames, None, last + 1, max(0, last - RECENT_WINDOW))
    return (await _readable(reader, latest, count))[::-1]


async def _readable(reader: EventReader, events: AsyncGenerator[Event, None], maximum: int) -> list[Event]:
    """Returns the first of the events that may be read."""
    found: list[Event] = []
    async with aclosing(events) as matching:
        async for event in matching:
            if await reader.may_see(event):
                found.append(event)
            if len(found) == maximum:
                break
    return found
