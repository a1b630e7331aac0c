"""Tools that make, list, show and cancel videos."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from avatar.spec import Background, ColourBackground, SourceBackground, is_spoken
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import Field, field_validator

from agent.tools.colours import parse_colour
from agent.tools.record import ToolContext, ToolRequest, ToolResult, tool
from agent.tools.sizes import Quality, Shape, canvas_for
from soundstage.errors import NotFound
from studio.personas.schemas import Persona
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.states import RenderState

BLURRED = "blurred"
BLUR = 0.6
LATEST = "latest"
FINISHED = "finished"


class MakeRender(ToolRequest):
    script: str = Field(
        max_length=MAX_SCRIPT_CHARS, description="What is spoken, word for word; at least one word."
    )
    persona: str = Field(default="nova", max_length=80, description="The name or id of a persona.")
    title: str | None = Field(default=None, max_length=200, description="How the video is called.")
    quality: Quality = Field(default="1080p", description="One of 360p, 480p, 720p, 1080p, 1440p, 2160p.")
    shape: Shape = Field(default="landscape", description="One of landscape, square, vertical.")
    captions: Literal["none", "soft", "burned", "both"] | None = Field(
        default=None, description="One of none, soft (files beside the video), burned (in the picture), both."
    )
    background: str | None = Field(
        default=None, description="A colour, such as navy or #1b2733, or “blurred”."
    )

    @field_validator("script")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not is_spoken(value):
            raise ValueError("there is nothing to say in it; write at least one word")
        return value

    @field_validator("background")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return value if value is None or value == BLURRED else parse_colour(value)


class RenderLine(ToolResult):
    """A render in a few words."""

    render_id: str
    title: str
    state: str
    persona: str
    duration_ms: int | None = None
    created_at: datetime
    files: tuple[str, ...] = ()
    error_code: str | None = None
    message: str = ""
    meanwhile: str = Field(default="", description="What is being made beside it, in one sentence.")

    @classmethod
    def of(cls, view: RenderView, out_dir: Path) -> Self:
        return cls(
            render_id=view.id,
            title=view.title,
            state=view.state,
            persona=", ".join(view.personas),
            duration_ms=view.duration_ms,
            created_at=view.created_at,
            files=tuple(str(out_dir / name) for name in view.out_files),
            error_code=view.error.code if view.error else None,
            message=_message(view),
        )

    def sentence(self) -> str:
        if self.state == "done":
            places = "".join(f"\n  {path}" for path in self.files)
            done = f"“{self.title}” is done ({(self.duration_ms or 0) / 1000:.1f} s).{places}"
            return f"{done}\n{self.meanwhile}" if self.meanwhile else done
        more = f" {self.message}" if self.message else ""
        return f"“{self.title}” ({self.render_id}) is {self.state}.{more}"


class Ticket(RenderLine):
    """The answer to a new render."""

    speaker: str = ""

    def sentence(self) -> str:
        return f"I am making “{self.title}” with {self.speaker or self.persona}. ({self.render_id})"


class Cancelled(RenderLine):
    def sentence(self) -> str:
        if self.state != "cancelled":
            return f"“{self.title}” is being stopped."
        return f"“{self.title}” is cancelled. Nothing partial is left."


@tool(effect="write", permission="render:create", undo="cancel_render stops it")
async def make_render(context: ToolContext, request: MakeRender) -> Ticket:
    """Make a video of a persona saying a script. Answers at once with a ticket."""
    persona = _persona(context, request.persona)
    view = await context.doors.renders.create(
        RenderRequest(
            script=request.script,
            persona=persona.id,
            title=request.title or None,
            canvas=canvas_for(request.quality, request.shape),
            captions=request.captions,
            background=_background(request.background),
        ),
        requested_by=context.principal.name,
    )
    return Ticket.of(view, context.doors.out_dir).model_copy(update={"speaker": persona.name})


class ListRenders(ToolRequest):
    limit: int = Field(default=20, ge=1, le=200, description="How many, newest first.")


class RenderLines(ToolResult):
    renders: tuple[RenderLine, ...]

    def sentence(self) -> str:
        if not self.renders:
            return "There are no videos yet. Say “Make a video where Nova says: Hello”."
        lines = [f"  {line.render_id}  {line.state:<9}  {line.title}" for line in self.renders]
        return "\n".join([f"{len(lines)} video{'s' if len(lines) > 1 else ''}, newest first:", *lines])


@tool(effect="read", permission="render:read")
async def list_renders(context: ToolContext, request: ListRenders) -> RenderLines:
    """List the videos, newest first."""
    views = await context.doors.renders.list(limit=request.limit)
    return RenderLines(renders=tuple(RenderLine.of(view, context.doors.out_dir) for view in views))


class OneRender(ToolRequest):
    render: str = Field(
        default=LATEST,
        max_length=80,
        description="An id, the end of one, “latest” (done or not) or “finished” (the last that is).",
    )


@tool(effect="read", permission="render:read")
async def show_render(context: ToolContext, request: OneRender) -> RenderLine:
    """Show one video, how far it is and where its files are."""
    renders = context.doors.renders
    if request.render != FINISHED:
        return RenderLine.of(
            await renders.get(await _render_id(context, request.render)), context.doors.out_dir
        )
    done = await renders.list(RenderState.DONE, limit=1)
    if not done:
        return RenderLine.of(await renders.get(await _render_id(context, LATEST)), context.doors.out_dir)
    line = RenderLine.of(done[0], context.doors.out_dir)
    newest = await renders.list(limit=1)
    return line if newest[0].ended else line.model_copy(update={"meanwhile": _meanwhile(newest[0])})


@tool(effect="destructive", permission="render:cancel", undo="ask for the same video again")
async def cancel_render(context: ToolContext, request: OneRender) -> Cancelled:
    """Stop making a video. Finished scenes stay in the cache."""
    view = await context.doors.renders.cancel(await _render_id(context, request.render))
    return Cancelled.of(view, context.doors.out_dir)


def _message(view: RenderView) -> str:
    """What there is to know beside the state: how it failed, why it waits, how far it is."""
    if view.error is not None:
        return f"{view.error.message} {view.error.hint}".strip()
    if view.waits:
        return view.waits
    done, total = view.progress.frames_done, view.progress.frames_total
    return f"Frame {done} of {total}." if total and not view.ended else ""


def _meanwhile(view: RenderView) -> str:
    more = f" {message}" if (message := _message(view)) else ""
    return f"A newer one, “{view.title}” ({view.id}), is {view.state}.{more}"


async def _render_id(context: ToolContext, given: str) -> str:
    """What "it" means: the session's last video, else the newest of all."""
    if given not in (LATEST, FINISHED):
        return given
    if context.last_render_id is not None:
        return context.last_render_id
    newest = await context.doors.renders.list(limit=1)
    if not newest:
        raise NotFound(
            "render.none_yet", "There is no video yet.", "Say “Make a video where Nova says: Hello”."
        )
    return newest[0].id


def _persona(context: ToolContext, given: str) -> Persona:
    """Names are matched without regard to case; a near miss is told, never guessed."""
    personas = context.doors.personas.list()
    wanted = given.strip().casefold()
    for persona in personas:
        if wanted in (persona.id.casefold(), persona.name.casefold()):
            return persona
    names = [persona.name for persona in personas]
    close = get_close_matches(given.strip().title(), names, n=1, cutoff=0.6)
    if close:
        hint = f"Did you mean {close[0]}?"
    elif names:
        hint = f"There are: {', '.join(sorted(names))}."
    else:
        hint = f"There are none in {context.doors.personas.shipped}; set personas_dir to a folder with some."
    raise NotFound("persona.not_found", f"There is no persona called {given.strip()!r}.", hint)


def _background(given: str | None) -> Background | None:
    if given is None:
        return None
    return SourceBackground(blur=BLUR) if given == BLURRED else ColourBackground(colour=given)
