"""REST of the agent: `POST /api/chat` answers as JSON or as Server-Sent Events, as asked for."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from agent.brain import Brain
from agent.events import Failure, Progress, Text, ToolReturned
from agent.schemas import ChatAnswer, ChatRequest, HelpLine, ToolLine
from agent.sessions.schemas import SessionOut, TurnOut
from agent.sessions.service import Conversation
from agent.watching import RenderWatch
from policy import Principal, require_permission
from studio.renders.states import TERMINAL

EVENT_STREAM = "text/event-stream"
RETRY_MS = 1000
HEARTBEAT_S = 15
ENDED = "ended"
"""The id of the last progress event."""

Chatter = Annotated[Principal, Depends(require_permission("chat:use"))]
Viewer = Annotated[Principal, Depends(require_permission("render:read"))]


def chat_router(brain: Brain, watch: RenderWatch) -> APIRouter:
    """Routes below `/api/chat`."""
    router = APIRouter(prefix="/api/chat", tags=["chat"])

    @router.post(
        "",
        response_model=ChatAnswer,
        responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
    )
    async def chat(chat: ChatRequest, request: Request, principal: Chatter) -> Response | ChatAnswer:
        """Says one sentence to the agent. With `Accept: text/event-stream` the events come as they happen."""
        conversation = await brain.sessions.open(principal, chat.session_id, debug=chat.debug)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return _streamed(brain, conversation, chat)
        return await _answered(brain, conversation, chat)

    @router.get("/help")
    async def help_lines(_: Chatter) -> list[HelpLine]:
        """What can be said, from the grammar itself."""
        return [HelpLine.model_validate(entry) for entry in brain.help_lines()]

    @router.get("/tools")
    async def tools(_: Chatter) -> list[ToolLine]:
        """The tools of the agent: purpose, effect, permission, parameters."""
        return [
            ToolLine(
                name=tool.name,
                purpose=tool.purpose,
                effect=tool.effect,
                permission=tool.permission,
                undo=tool.undo,
                parameters=tool.request.model_json_schema(),
            )
            for tool in brain.toolset.tools.values()
        ]

    @router.get("/sessions")
    async def sessions(
        principal: Chatter, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> Sequence[SessionOut]:
        """One's own conversations, the newest first."""
        return await brain.sessions.list(principal, limit)

    @router.get("/sessions/{session_id}/turns")
    async def turns(
        session_id: str, principal: Chatter, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> Sequence[TurnOut]:
        """What was said in a conversation of one's own, the oldest turn first."""
        return await brain.sessions.turns(principal, session_id, limit)

    @router.get("/renders/{render_id}/progress", response_class=EventSourceResponse)
    async def progress(render_id: str, request: Request, _: Viewer) -> Response:
        """How far a render is, as `progress` events; the last one has a state that does not change any more.

        A reader that comes back after a break gets the present state first; one that has seen the end gets
        204, which tells a browser to stop asking.
        """
        await watch.view(render_id)
        if request.headers.get("last-event-id") == ENDED:
            return Response(status_code=204)

        async def messages() -> AsyncIterator[ServerSentEvent]:
            async for event in watch.follow(render_id):
                data = event.model_dump_json(exclude_none=True)
                event_id = ENDED if event.state in TERMINAL else None
                yield ServerSentEvent(data=data, event=event.type, id=event_id, retry=RETRY_MS)

        return EventSourceResponse(messages(), ping=HEARTBEAT_S, headers={"Cache-Control": "no-store"})

    return router


async def _answered(brain: Brain, conversation: Conversation, chat: ChatRequest) -> ChatAnswer:
    events = [
        event
        async for event in brain.respond(conversation, chat.message, follow=chat.follow)
        if not isinstance(event, Progress)
    ]
    said = [event.message if isinstance(event, Failure) else event.text
            for event in events if isinstance(event, Text | Failure)]  # fmt: skip
    found = [event.result.get("render_id") for event in events if isinstance(event, ToolReturned)]
    return ChatAnswer(
        session_id=conversation.id, reply="\n".join(said), render_id=next(iter(found), None), events=events
    )


def _streamed(brain: Brain, conversation: Conversation, chat: ChatRequest) -> EventSourceResponse:
    async def messages() -> AsyncIterator[ServerSentEvent]:
        async for event in brain.respond(conversation, chat.message, follow=chat.follow):
            yield ServerSentEvent(data=event.model_dump_json(exclude_none=True), event=event.type)

    return EventSourceResponse(messages(), ping=HEARTBEAT_S, headers={"Cache-Control": "no-store"})
