"""A video in a few words, and which one people mean; shared by the tools of renders."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field

from agent.presentation import Blocks, Id, Link, Paragraph, items, page, paragraph
from agent.presentation.text import count
from agent.tools.record import ToolContext, ToolResult
from soundstage.errors import Conflict, NotFound
from studio.renders.schemas import RenderDetail, RenderView
from studio.renders.states import RenderState
from studio.scenes.schemas import is_filled

LATEST = "latest"
FINISHED = "finished"
WAITS = "waits: "
CANCELLING = "It is being cancelled."
SHORT_S, LONG_S = 45.0, 5400.0
"""A shorter time is no minute; a longer one is told in hours."""
NONE_YET = "Say “Make a video where Nova says: Hello”."


class NewerRender(BaseModel, frozen=True):
    """A render that is newer than the one that a question was about."""

    render_id: str
    title: str
    state: str
    message: str

    def paragraph(self) -> Paragraph:
        link = Link(to="video", id=self.render_id, text=f"“{self.title}”")
        rest = f", is {self.state}.{f' {self.message}' if self.message else ''}"
        return paragraph("A newer one, ", link, Id(text=f" ({self.render_id})"), rest)


class RenderLine(ToolResult):
    """A render in a few words."""

    render_id: str
    title: str
    state: str
    persona: str
    project_id: str | None = None
    duration_ms: int | None = None
    created_at: datetime
    files: tuple[str, ...] = ()
    error_code: str | None = None
    message: str = ""
    in_trash: bool = False
    warnings: tuple[str, ...] = Field(default=(), description="What of the wish was not met, in sentences.")
    meanwhile: NewerRender | None = Field(
        default=None, description="A newer one, where this was the last done."
    )

    @classmethod
    def of(cls, view: RenderView, out_dir: Path) -> Self:
        return cls(
            render_id=view.id,
            title=view.title,
            state=view.state,
            persona=", ".join(view.personas),
            project_id=view.project_id,
            duration_ms=view.duration_ms,
            created_at=view.created_at,
            files=tuple(str(out_dir / name) for name in view.out_files),
            error_code=view.error.code if view.error else None,
            message=message_of(view),
            in_trash=view.trashed_at is not None,
            warnings=tuple(notice.message for notice in view.warnings),
        )

    @property
    def link(self) -> Link:
        return Link(to="video", id=self.render_id, text=f"“{self.title}”")

    @property
    def id_in_brackets(self) -> Id:
        return Id(text=f" ({self.render_id})")

    def presentation(self) -> Blocks:
        if self.in_trash:
            return page(
                paragraph(self.link, self.id_in_brackets, " is in the trash."),
                f"Say “Restore the video {self.title} from the trash” to have it back.",
            )
        if self.state == "done":
            return page(
                paragraph(self.link, f" is done ({(self.duration_ms or 0) / 1000:.1f} s)."),
                items(self.files),
                *(f"Note: {warning}" for warning in self.warnings),
                None if self.meanwhile is None else self.meanwhile.paragraph(),
            )
        more = f" {self.message}" if self.message else ""
        verb = _VERBS.get(self.state, f"is {self.state}")
        return page(paragraph(self.link, self.id_in_brackets, f" {verb}.{more}"))


_VERBS = {"failed": "has failed", "placed": "is waiting for a worker", "running": "is being made"}


def message_of(view: RenderView) -> str:
    """Returns how it failed, why it waits, or how far it is."""
    if view.cancel_requested and not view.ended:
        return CANCELLING
    if view.error is not None:
        return f"{view.error.message} {view.error.hint}".strip()
    if view.waits:
        return view.waits
    if view.ended or not view.progress.frames_total:
        return ""
    text = view.progress.sentence
    return f"{_time_left(view)} {text[:1].upper()}{text[1:]}.".strip()


def _time_left(view: RenderView) -> str:
    """Returns how long it still takes, in a sentence; "" while that is not known."""
    seconds = view.progress.eta_s
    if view.state is not RenderState.RUNNING or seconds is None:
        return ""
    if seconds < SHORT_S:
        return "It takes less than a minute more."
    number, unit = (seconds / 3600, "hour") if seconds >= LONG_S else (seconds / 60, "minute")
    return f"It takes about {count(round(number), unit)} more."


async def explain_render(context: ToolContext, view: RenderView) -> RenderLine:
    """With the real reason: of waiting from the queue and the farm, of failing from the scene that failed."""
    renders = context.studio.renders
    line = RenderLine.of(view, context.services.out_dir)
    if view.state is RenderState.FAILED:
        return line.model_copy(update={"message": _why_failed(await renders.detail(view.id))})
    if view.ended or view.cancel_requested:
        return line
    text = await renders.explain(view.id)
    if text.startswith(WAITS):
        return line.model_copy(update={"message": f"It waits: {_stop(text.removeprefix(WAITS))}"})
    # Where it runs or has a worker, `explain` says so; the frames are in the line already.
    more = "" if text.startswith(("running", "runs", "placed")) else _stop(text[:1].upper() + text[1:])
    forecast = "" if view.forecast is None else _stop(view.forecast.sentence)
    parts = [line.message] if line.message == more else [line.message, more]
    if forecast and not any(forecast.rstrip(".") in part for part in parts):
        parts.append(forecast)
    return line.model_copy(update={"message": " ".join(part for part in parts if part)})


def _why_failed(detail: RenderDetail) -> str:
    """Returns which scene failed, what the worker reported, and what to do."""
    for number, segment in enumerate(detail.segments, start=1):
        if segment.state is RenderState.FAILED and segment.error is not None:
            which = f"Scene {number} of {len(detail.segments)}: " if len(detail.segments) > 1 else ""
            tries = f" It was tried {segment.attempts} times." if segment.attempts > 1 else ""
            hint = f" {segment.error.hint}" if segment.error.hint else ""
            return f"{which}{_stop(segment.error.message)}{tries}{hint} Say “retry it” to try again."
    return f"{message_of(detail)} Say “retry it” to try again.".strip()


async def render_of(context: ToolContext, reference: str) -> RenderView:
    """An id or the end of one; else what "it" means: what the conversation was about, or the newest."""
    renders = context.studio.renders
    if reference not in (LATEST, FINISHED):
        return await renders.get(reference)
    if context.last_render_id is not None:
        try:
            return await renders.get(context.last_render_id)
        except NotFound as error:
            raise NotFound(
                "render.deleted",
                "The video that we spoke of last is deleted.",
                "“List my videos” shows what there is.",
            ) from error
    newest = await renders.list(project=context.last_project_id, limit=1)
    if newest:
        return newest[0]
    if context.last_project_id is None:
        raise NotFound("render.none_yet", "There is no video yet.", NONE_YET)
    raise await not_filmed(context, context.last_project_id)


async def video_of(context: ToolContext, reference: str) -> tuple[RenderView, str]:
    """Returns a render whose video is there, and the hash of that. Raises `vision.no_video_yet`."""
    context.principal.require("render:read")
    done = await context.studio.renders.list(RenderState.DONE, limit=1) if reference == FINISHED else ()
    view = done[0] if done else await render_of(context, reference)
    video = view.output("video")
    if video is None:
        raise NotFound(
            "vision.no_video_yet",
            f"“{view.title}” is {view.state}: there is no video to look at.",
            "Try later.",
        )
    return view, video.sha256


async def not_filmed(context: ToolContext, project_id: str) -> Conflict:
    """Explains why a project has no video: scenes without words, or no request."""
    project = await context.studio.projects.get(project_id)
    scenes = await context.studio.scenes.list(project_id)
    silent = [str(scene.position + 1) for scene in scenes if not is_filled(scene)]
    if not scenes:
        why, hint = "it has no scenes", f"Say “Add a scene to {project.title} where Nova says: Hello”."
    elif silent:
        why = f"scene {silent[0]} has" if len(silent) == 1 else f"scenes {join_words(silent)} have"
        why, hint = f"{why} no words yet", f"Say “Change scene {silent[0]} of {project.title} to: …”."
    else:
        why, hint = "nobody has asked for it", f"Say “Render the project {project.title}”."
    return Conflict("project.not_filmed", f"There is no video of “{project.title}” yet: {why}.", hint)


def join_words(items: list[str]) -> str:
    """Return `Nova`, `Nova and Milo`, `Nova, Milo and Vera`."""
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def _stop(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."
