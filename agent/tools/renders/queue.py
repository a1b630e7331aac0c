"""The tool that shows the queue, moves videos in it and cancels those that wait."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from agent.presentation import Blocks, items, page
from agent.presentation.text import count
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import LATEST, render_of
from soundstage.errors import Conflict
from studio.queue.schemas import MAX_CANCELLED, CancelRequest, QueueEntry, QueueView
from studio.renders.schemas import RenderChange, RenderView
from studio.renders.states import RenderState

HIGHEST, LOWEST = 100, -100
"""The bounds of priorities."""
SHOWN = 40


class QueueRequest(ToolRequest):
    action: Literal["show", "front", "back", "cancel_waiting"] = Field(
        description="show: what runs and waits; front, back: where one stands; cancel_waiting: all that wait."
    )
    render: str = Field(
        default=LATEST, max_length=80, description="With front and back: an id, the end of one, or “latest”."
    )
    renders: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_CANCELLED,
        description="With cancel_waiting: only these ids; left out, all that wait.",
    )


class QueueLine(BaseModel, frozen=True):
    """A video that runs or waits; `position` is its place among all that wait, those of others too."""

    render_id: str
    title: str
    position: int | None
    sentence: str


class QueueAnswer(ToolResult):
    """The queue, or what has changed in it."""

    action: str
    running: tuple[QueueLine, ...] = ()
    waiting: tuple[QueueLine, ...] = ()
    total: int = Field(default=0, description="How many wait.")
    render_id: str | None = None
    title: str = ""
    position: int | None = Field(default=None, description="Of the moved one, afterwards.")
    cancelled: tuple[str, ...] = Field(default=(), description="Titles of what was cancelled.")

    def presentation(self) -> Blocks:
        match self.action:
            case "front" | "back":
                return page(f"“{self.title}” {_place(self.position)}.")
            case "cancel_waiting" if not self.cancelled:
                return page("Nothing waits, so nothing was cancelled.")
            case "cancel_waiting":
                return page(f"{count(len(self.cancelled), 'video')} cancelled:", items(self.cancelled))
        if not self.running and not self.waiting:
            return page("The queue is empty.")
        return page(
            "Being made now:" if self.running else "Nothing is being made now.",
            *(
                f"“{one.title}”: {one.sentence}." if one.sentence else f"“{one.title}”"
                for one in self.running
            ),
            f"{count(self.total, 'video')} waiting, the next one first:"
            if self.waiting
            else "Nothing waits.",
            items(f"{one.position or '–'}. “{one.title}”" for one in self.waiting),
        )


def _place(position: int | None) -> str:
    if position is None:
        return "is being made already; what is left of it runs by its new priority"
    return "runs next" if position == 1 else f"is number {position} in the queue now"


async def _plan(context: ToolContext, request: QueueRequest) -> Plan:
    if request.action == "cancel_waiting":
        changes = [
            change("Cancel the video; finished scenes stay in the cache", f"“{one.title}” ({one.id})")
            for one in await _waiting(context, request)
        ]
        return Plan(changes=tuple(changes), seconds=0)
    video, priority = await _moved(context, request)
    if priority == video.priority:
        return Plan(changes=(), seconds=0)
    end = "front" if request.action == "front" else "end"
    what = f"Move the video to the {end} of the queue, priority {priority} in place of {video.priority}"
    return Plan(changes=(change(what, f"“{video.title}” ({video.id})"),), seconds=0)


@tool(
    {
        "show": Act("read", "render:read", label="Show the queue"),
        "front": Act("write", "render:update", label="Move video to the front"),
        "back": Act("write", "render:update", label="Move video to the end"),
        "cancel_waiting": Act("destructive", "render:cancel", approvers=0, label="Cancel waiting videos"),
    },
    undo="front and back take each other back; retry_render makes a cancelled video again",
    plan=_plan,
)
async def queue(context: ToolContext, request: QueueRequest) -> QueueAnswer:
    """Show what is made and what waits, move a video to the front or the end, or cancel all that wait."""
    by = context.principal.name
    match request.action:
        case "show":
            return _answer(await context.studio.queue.read(SHOWN))
        case "cancel_waiting":
            return await _cancel(context, request, by)
    video, priority = await _moved(context, request)
    if priority != video.priority:
        await context.studio.render_editing.change(video.id, RenderChange(priority=priority), by=by)
    after = await context.studio.queue.read(MAX_CANCELLED)
    position = next((one.position for one in after.waiting if one.id == video.id), None)
    return QueueAnswer(action=request.action, render_id=video.id, title=video.title, position=position)


async def _cancel(context: ToolContext, request: QueueRequest, by: str) -> QueueAnswer:
    waiting = {one.id: one.title for one in await _waiting(context, request)}
    if not waiting:
        return QueueAnswer(action=request.action)
    done = await context.studio.queue.cancel(CancelRequest(renders=[*waiting]), by=by)
    return QueueAnswer(action=request.action, cancelled=tuple(waiting[one] for one in done.cancelled))


async def _waiting(context: ToolContext, request: QueueRequest) -> list[QueueEntry]:
    """Returns what waits, or those of the requested ones that still do."""
    waiting = (await context.studio.queue.read(MAX_CANCELLED)).waiting
    return [one for one in waiting if not request.renders or one.id in request.renders]


async def _moved(context: ToolContext, request: QueueRequest) -> tuple[RenderView, int]:
    """Returns the video that is meant, and the priority that puts it before or behind all others that wait.
    Raises `render.ended` for one that neither waits nor runs.
    """
    video = await render_of(context, request.render)
    if video.ended:
        raise Conflict(
            "render.ended", f"This render is {video.state} already.", "Retry it, or make a new one."
        )
    waiting = (await context.studio.queue.read(MAX_CANCELLED)).waiting
    others = [one.priority for one in waiting if one.id != video.id]
    if not others:
        return video, video.priority
    if request.action == "front":
        return video, video.priority if video.priority > max(others) else min(max(others) + 1, HIGHEST)
    return video, video.priority if video.priority < min(others) else max(min(others) - 1, LOWEST)


def _answer(view: QueueView) -> QueueAnswer:
    return QueueAnswer(
        action="show",
        running=tuple(_line(one) for one in view.running),
        waiting=tuple(_line(one) for one in view.waiting),
        total=view.total,
    )


def _line(entry: QueueEntry) -> QueueLine:
    is_running = entry.state is RenderState.RUNNING and entry.progress.frames_total
    return QueueLine(
        render_id=entry.id,
        title=entry.title,
        position=entry.position,
        sentence=entry.progress.sentence if is_running else "",
    )
