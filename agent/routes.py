"""REST of the agent: `POST /api/chat` answers as JSON or as Server-Sent Events, as asked for."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from agent.answering.replies import Replies
from agent.brain import Brain
from agent.experts import Router
from agent.experts.router import Survey
from agent.schemas import ChatAnswer, ChatRequest, HelpLine, ToolLine
from agent.sessions.schemas import SessionOut, TurnOut
from agent.turns.presentation import RETRY_MS, chat_answer, event_source, sse_message, sse_response
from agent.turns.render_watch import RenderWatch
from agent.turns.runner import TurnRunner
from agent.understanding import HelpEntry
from agent.understanding.language import DEFAULT
from policy import Principal, require_permission
from soundstage.events.sse import last_event_id
from soundstage.paging import PAGED, PagingDep
from soundstage.routers import AppService
from soundstage.views import read_view
from studio.renders.states import TERMINAL

EVENT_STREAM = "text/event-stream"
LAST_PROGRESS_ID = "ended"

Chatter = Annotated[Principal, Depends(require_permission("chat:use"))]
Language = Annotated[str, Query(max_length=20, description="of the example sentences, as `de`")]
TurnNumber = Annotated[int, Path(ge=1, le=1_000_000_000)]
Viewer = Annotated[Principal, Depends(require_permission("render:read"))]


BrainDep = Annotated[Brain, Depends(AppService("brain"))]
Watch = Annotated[RenderWatch, Depends(AppService("watch"))]
Runner = Annotated[TurnRunner, Depends(AppService("turns"))]
Experts = Annotated[Router, Depends(AppService("experts"))]
router = APIRouter(prefix="/api/chat", tags=["chat"])


@router.post(
    "",
    response_model=ChatAnswer,
    responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
)
async def chat(
    chat: ChatRequest, request: Request, brain: BrainDep, runner: Runner, principal: Chatter
) -> Response | ChatAnswer:
    """Answers one utterance. With `Accept: text/event-stream` the events come as they happen."""
    opened = await brain.sessions.open(principal, chat.session_id, debug=chat.debug)
    conversation = replace(opened, dry_run=chat.dry_run)
    events = await runner.ask(conversation, chat.message, follow=chat.follow, request_id=chat.request_id)
    if EVENT_STREAM in request.headers.get("accept", ""):
        return sse_response(events)
    return await chat_answer(conversation.id, events)


@router.get("/help")
async def help_lines(brain: BrainDep, _: Chatter, language: Language = DEFAULT) -> list[HelpLine]:
    """Returns what can be asked for, with sentences in a language."""
    replies = Replies.of(language)
    return [_help_line(entry, replies) for entry in brain.help_lines()]


def _help_line(entry: HelpEntry, replies: Replies) -> HelpLine:
    examples = replies.example_sentences(entry.rule) or entry.examples
    return read_view(HelpLine, entry, examples=examples, openings=examples[: entry.openings])


@router.get("/tools")
async def tools(brain: BrainDep, _: Chatter) -> list[ToolLine]:
    """The tools of the agent: purpose, effect, permission, parameters."""
    return [
        read_view(
            ToolLine,
            tool,
            permission=", ".join(tool.permissions),
            parameters=tool.request.model_json_schema(),
        )
        for tool in brain.toolset.tools.values()
    ]


@router.get("/sessions", responses=PAGED)
async def sessions(
    brain: BrainDep, principal: Chatter, paging: PagingDep, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Sequence[SessionOut]:
    """One's own conversations, the last talked in first. `Link` leads to the next page."""
    return paging.answer(await brain.sessions.find_page(principal, paging.ask(limit)))


@router.get("/sessions/{session_id}/turns")
async def turns(
    session_id: str, brain: BrainDep, principal: Chatter, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Sequence[TurnOut]:
    """Returns the turns of one's own conversation, the oldest first."""
    return await brain.sessions.turns(principal, session_id, limit)


@router.get("/sessions/{session_id}/turns/{number}")
async def turn(session_id: str, number: TurnNumber, brain: BrainDep, principal: Chatter) -> TurnOut:
    """Returns one turn: the utterance, the answer so far, and how it ended."""
    return await brain.sessions.turn(principal, session_id, number)


@router.get("/sessions/{session_id}/turns/{number}/events", response_class=EventSourceResponse)
async def turn_events(
    session_id: str, number: TurnNumber, request: Request, brain: BrainDep, runner: Runner, principal: Chatter
) -> Response:
    """Streams the events of a turn, from its beginning or after `Last-Event-ID`, until its end.

    Also after a restart of the server: an answer that was lost with it says so and ends.
    """
    state = await brain.sessions.turn(principal, session_id, number)
    seen = last_event_id(request)
    if seen and state.finished_at is not None and await runner.no_events_after(session_id, number, seen):
        return Response(status_code=204)
    return sse_response(runner.follow(principal, session_id, number, seen or 0))


@router.post("/sessions/{session_id}/turns/{number}/cancel")
async def cancel(
    session_id: str, number: TurnNumber, brain: BrainDep, runner: Runner, principal: Chatter
) -> TurnOut:
    """Ends a running answer. What its tools have done stays done."""
    await runner.cancel(principal, session_id, number)
    return await brain.sessions.turn(principal, session_id, number)


@router.get("/experts")
async def list_experts(experts: Experts, _: Chatter) -> Survey:
    """The language models that can be asked, and how each has done since the server started."""
    return await experts.survey()


@router.post("/experts/try")
async def try_experts(experts: Experts, _: Chatter) -> Survey:
    """Asks each model for a word, and returns how it answered."""
    await experts.try_all()
    return await experts.survey()


@router.get("/renders/{render_id}/progress", response_class=EventSourceResponse)
async def progress(render_id: str, request: Request, watch: Watch, _: Viewer) -> Response:
    """Streams the progress of a render; the last event has a final state.

    A reader that comes back after a break gets the present state first; one that has seen the end gets
    204, which tells a browser to stop asking.
    """
    await watch.renders.get(render_id)
    if request.headers.get("last-event-id") == LAST_PROGRESS_ID:
        return Response(status_code=204)

    async def messages() -> AsyncIterator[ServerSentEvent]:
        async for event in watch.follow(render_id):
            yield sse_message(event, LAST_PROGRESS_ID if event.state in TERMINAL else None, RETRY_MS)

    return event_source(messages())
