"""Presents the events of a turn: as Server-Sent Events, as socket messages, as one answer, as plain text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent

from agent.events import (
    BrainEvent,
    Done,
    Failure,
    Notice,
    Progress,
    Text,
    TextPart,
    ToolReturned,
    plain_text,
)
from agent.schemas import ChatAnswer
from agent.turns.runner import TurnEvents
from soundstage.events.sse import STREAM_HEADERS

RETRY_MS = 1000
HEARTBEAT_S = 15


def sse_response(events: TurnEvents) -> EventSourceResponse:
    """Streams events as they come. Those with an id can be resumed after it by `Last-Event-ID`."""

    async def messages() -> AsyncIterator[ServerSentEvent]:
        async with aclosing(events):
            async for item in events:
                event_id, retry = (None, None) if item.id is None else (str(item.id), RETRY_MS)
                yield sse_message(item.event, event_id, retry)

    return event_source(messages())


def event_source(messages: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    """Returns the response that streams messages with a heartbeat and is never cached."""
    return EventSourceResponse(messages, ping=HEARTBEAT_S, headers=STREAM_HEADERS)


def sse_message(event: BrainEvent, event_id: str | None, retry_ms: int | None) -> ServerSentEvent:
    """Returns the message of one event."""
    data = event.model_dump_json(exclude_none=True)
    return ServerSentEvent(data=data, event=event.type, id=event_id, retry=retry_ms)


def socket_message(ref: str | None, event: BrainEvent) -> str:
    """Returns `{"ref": …, "event": {…}}` as JSON."""
    data = event.model_dump(mode="json", exclude_none=True)
    return json.dumps({"ref": ref, "event": data}, ensure_ascii=False)


async def chat_answer(session_id: str, events: TurnEvents) -> ChatAnswer:
    """Waits for the end, and returns the answer as one document."""
    async with aclosing(events):
        all_events = [item.event async for item in events if not isinstance(item.event, Progress | TextPart)]
    sentences = [event.message if isinstance(event, Failure) else plain_text(event)
                 for event in all_events if isinstance(event, Text | Notice | Failure)]  # fmt: skip
    render_ids = [event.result.get("render_id") for event in all_events if isinstance(event, ToolReturned)]
    done = next((event for event in all_events if isinstance(event, Done)), None)
    return ChatAnswer(
        session_id=session_id if done is None else done.session_id,
        reply="\n".join(sentences),
        render_id=next(iter(render_ids), None),
        events=all_events,
    )
