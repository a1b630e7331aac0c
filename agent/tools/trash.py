"""The tool that shows the trash and takes videos and projects out of it again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, Field

from agent.presentation import Blocks, items, page
from agent.presentation.text import count
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import Conflict, NotFound
from soundstage.paging import PageRequest
from studio.projects.repository import ProjectFilter
from studio.projects.schemas import ProjectView
from studio.renders.listing import RenderFilter
from studio.renders.schemas import RenderSummary

LATEST = "latest"
MIN_ID_SUFFIX = 4
MOST = 200


class _Trashed(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def trashed_at(self) -> datetime | None: ...


One = TypeVar("One", bound=_Trashed)


def retention_words(days: int | None) -> str:
    """Returns how long what is in the trash can be restored, for the end of a sentence."""
    return "until it is deleted for good" if days is None else f"for {count(days, 'day')}"


async def videos_in_trash(context: ToolContext) -> Sequence[RenderSummary]:
    """Returns the videos in the trash, what came in last first."""
    found = await context.studio.render_list.find_page(RenderFilter(trash=True), PageRequest(MOST))
    return _last_first(found.items)


async def projects_in_trash(context: ToolContext) -> Sequence[ProjectView]:
    """Returns the projects in the trash, what came in last first."""
    found = await context.studio.projects.find_page(ProjectFilter(trash=True), PageRequest(MOST))
    return _last_first(found.items)


async def find_project_in_trash(context: ToolContext, reference: str) -> ProjectView:
    """By id, slug or title; of several with one title what came in last. Raises `trash.not_found`."""
    projects = await projects_in_trash(context)
    found = _named(projects, reference) or next(
        (one for one in projects if one.slug == reference.strip().casefold()), None
    )
    if found is None:
        raise _not_found("project", reference)
    return found


async def find_video_in_trash(context: ToolContext, reference: str) -> RenderSummary:
    """By id, the end of one, or title; of several with one title what came in last. Raises
    `trash.not_found`.
    """
    found = _named(await videos_in_trash(context), reference)
    if found is None:
        raise _not_found("video", reference)
    return found


def already_there(kind: str, title: str) -> Conflict:
    """Returns the error for what is to be deleted, and in the trash already."""
    return Conflict(
        "trash.already_there",
        f"The {kind} “{title}” is in the trash already.",
        f"Say “Delete the {kind} {title} for good” to delete it there.",
    )


class TrashRequest(ToolRequest):
    action: Literal["list", "restore_video", "restore_project"] = Field(
        description="list: what is in the trash; the others take one thing out of it."
    )
    render: str = Field(
        default=LATEST,
        max_length=200,
        description="With restore_video: title or id, or “latest”, the one that came in last.",
    )
    project: str = Field(
        default=LATEST,
        max_length=200,
        description="With restore_project: title or id, or “latest”, the one that came in last.",
    )


class TrashedThing(BaseModel, frozen=True):
    """Something in the trash."""

    kind: Literal["video", "project"]
    id: str
    title: str
    trashed_at: datetime


class TrashAnswer(ToolResult):
    """The things in the trash, or the one that came out of it."""

    action: str
    things: tuple[TrashedThing, ...] = ()
    days: int | None = Field(default=None, description="How long things stay there; none: for ever.")
    title: str = ""
    render_id: str | None = None
    project_id: str | None = None

    def presentation(self) -> Blocks:
        match self.action:
            case "restore_video":
                return page(f"The video “{self.title}” is back, as it was.")
            case "restore_project":
                return page(f"The project “{self.title}” is back, as it was.")
        if not self.things:
            return page("The trash is empty.")
        return page(
            f"{count(len(self.things), 'thing')} in the trash, what came in last first:",
            items(
                f"{one.kind} “{one.title}”, since {one.trashed_at:%Y-%m-%d %H:%M} UTC" for one in self.things
            ),
            f"Each can be restored {retention_words(self.days)} from then on. "
            f"Say “Restore the {self.things[0].kind} {self.things[0].title} from the trash”.",
        )


async def _plan(context: ToolContext, request: TrashRequest) -> Plan:
    if request.action == "restore_project":
        project = await find_project_in_trash(context, request.project)
        where = f"project “{project.title}” ({project.id})"
        return Plan(changes=(change("Take it out of the trash, as it was", where),), seconds=0)
    video = await find_video_in_trash(context, request.render)
    where = f"“{video.title}” ({video.id})"
    return Plan(changes=(change("Take the video out of the trash, as it was", where),), seconds=0)


@tool(
    {
        "list": Act("read", "self:read", label="Show the trash"),
        "restore_video": Act("write", "render:update", label="Restore video from trash"),
        "restore_project": Act("write", "project:update", label="Restore project from trash"),
    },
    undo="cancel_render and edit_project move it to the trash again",
    plan=_plan,
)
async def trash(context: ToolContext, request: TrashRequest) -> TrashAnswer:
    """Show what is in the trash, or take a video or a project out of it, as it was."""
    match request.action:
        case "restore_video":
            video = await find_video_in_trash(context, request.render)
            await context.studio.render_editing.restore(video.id, by=context.principal.name)
            return TrashAnswer(action=request.action, title=video.title, render_id=video.id)
        case "restore_project":
            project = await find_project_in_trash(context, request.project)
            await context.studio.projects.restore(project.id, by=context.principal.name)
            return TrashAnswer(action=request.action, title=project.title, project_id=project.id)
    return TrashAnswer(action="list", things=await _list(context), days=context.services.trash_days)


def _not_found(kind: str, reference: str) -> NotFound:
    name = "" if reference == LATEST else f" {reference.strip()!r}"
    return NotFound(
        "trash.not_found",
        f"There is no {kind}{name} in the trash.",
        "“What is in the trash?” shows what there is.",
    )


def _last_first(things: Sequence[One]) -> Sequence[One]:
    return sorted(things, key=lambda one: str(one.trashed_at), reverse=True)


def _named(things: Sequence[One], reference: str) -> One | None:
    """Returns the first with this id, end of an id or title; for “latest” the first of all."""
    folded = reference.strip().casefold()
    if folded == LATEST:
        return things[0] if things else None
    titled = (one for one in things if folded in (one.id.casefold(), one.title.casefold()))
    by_end = (one for one in things if len(folded) >= MIN_ID_SUFFIX and one.id.casefold().endswith(folded))
    return next(titled, None) or next(by_end, None)


async def _list(context: ToolContext) -> tuple[TrashedThing, ...]:
    """Returns what the caller may see of it. Raises Forbidden where that is neither videos nor projects."""
    principal = context.principal
    if not principal.may("project:read"):
        principal.require("render:read")
    videos = await videos_in_trash(context) if principal.may("render:read") else ()
    projects = await projects_in_trash(context) if principal.may("project:read") else ()
    things = [*(_thing("video", one) for one in videos), *(_thing("project", one) for one in projects)]
    return tuple(sorted(things, key=lambda one: one.trashed_at, reverse=True))


def _thing(kind: Literal["video", "project"], one: _Trashed) -> TrashedThing:
    assert one.trashed_at is not None  # noqa: S101
    return TrashedThing(kind=kind, id=one.id, title=one.title, trashed_at=one.trashed_at)
