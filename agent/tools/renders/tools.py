"""Tools that make, list, show, cancel and repeat videos."""

from __future__ import annotations

from typing import Literal, Self

from avatar.spec import Captions, RenderSpec, is_spoken
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import Field, field_validator, model_validator

from agent.presentation import Blocks, Id, StateLabel, page, paragraph, table
from agent.presentation.text import count
from agent.tools.looks import (
    CAPTION_PLACE,
    CAPTION_SIZE,
    CAPTIONS,
    BackgroundChoice,
    CaptionChoice,
    CaptionPlace,
    CaptionSize,
    background_of,
    captions_of,
)
from agent.tools.paces import PACE, Pace, rate_of, with_pace
from agent.tools.personas.lookup import name_of, persona_named
from agent.tools.plan import Change, Plan, change
from agent.tools.projects.tools import project_named
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import (
    FINISHED,
    LATEST,
    NewerRender,
    RenderLine,
    explain_render,
    join_words,
    message_of,
    render_of,
)
from agent.tools.sizes import Quality, Shape, canvas_for, resize
from agent.tools.trash import already_there, retention_words
from soundstage.errors import Conflict
from studio.renders.planning import refuse_cancel
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.states import TERMINAL, RenderState

MIB = 1 << 20
_MAX_PUBLICATIONS = 20


async def _plan_deletion(context: ToolContext, video: RenderView, *, forever: bool) -> Plan:
    """Names the video, and what becomes of its files; refuses, as the act does, a video that is being made or
    in the trash already.
    """
    if not video.ended:
        raise Conflict("render.active", "This video is not finished yet.", "Cancel it first.")
    where = f"“{video.title}” ({video.id})"
    if not forever:
        if video.trashed_at is not None:
            raise already_there("video", video.title)
        how_long = retention_words(context.services.trash_days)
        changes = [change(f"Move the video to the trash, where it can be restored {how_long}", where)]
        if video.out_files:
            changes.append(
                change("Keep its files for as long as the video is there", ", ".join(video.out_files))
            )
        return Plan(changes=(*changes, *await _published(context, video)))
    changes = [change("Delete the video for good; it cannot be had back", where, deletes=True)]
    if video.out_files:
        changes.append(change("Delete its files", ", ".join(video.out_files)))
    if video.outputs:
        mib = sum(output.bytes for output in video.outputs) / MIB
        freed = f"{len(video.outputs)} files, {mib:.1f} MiB"
        changes.append(change("Free what nothing else uses, when storage is collected", freed))
    changes += await _published(context, video)
    return Plan(changes=tuple(changes))


async def _published(context: ToolContext, video: RenderView) -> list[Change]:
    """Returns the copies on YouTube, which stay: only YouTube Studio deletes them."""
    found = await context.studio.outgoing.publishing.page(video.id, limit=_MAX_PUBLICATIONS)
    return [
        change("It stays on YouTube, where only YouTube Studio deletes it", one.url)
        for one in found
        if one.url
    ]


class MakeRender(ToolRequest):
    script: str | None = Field(
        default=None,
        max_length=MAX_SCRIPT_CHARS,
        description="What is spoken, word for word; at least one word. Not with a project.",
    )
    project: str | None = Field(
        default=None,
        max_length=200,
        description="In place of a script: title or id of a project that shall be a video, or “latest”.",
    )
    video: str | None = Field(
        default=None,
        max_length=80,
        description="In place of a script: id of a video of one scene, or “latest”, whose words are spoken "
        "again; what is given beside it differs.",
    )
    persona: str = Field(default="nova", max_length=80, description="The name or id of a persona.")
    title: str | None = Field(default=None, max_length=200, description="How the video is called.")
    quality: Quality = Field(default="1080p", description="One of 360p, 480p, 720p, 1080p, 1440p, 2160p.")
    shape: Shape = Field(default="landscape", description="One of landscape, square, vertical.")
    captions: CaptionChoice | None = Field(default=None, description=CAPTIONS)
    caption_size: CaptionSize | None = Field(default=None, description=CAPTION_SIZE)
    caption_place: CaptionPlace | None = Field(default=None, description=CAPTION_PLACE)
    background: BackgroundChoice = None
    pace: Pace | None = Field(default=None, description=PACE)

    @field_validator("script")
    @classmethod
    def _says_something(cls, value: str | None) -> str | None:
        if value is not None and not is_spoken(value):
            raise ValueError("there is nothing to say in it; write at least one word")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if [self.script, self.project, self.video].count(None) != 2:
            raise ValueError("give either a script, a project or a video")
        if self.project is not None and self.model_dump(exclude_defaults=True).keys() - {"project"}:
            raise ValueError("a project has its own speaker and look; change them there, with edit_project")
        return self


class Ticket(RenderLine):
    """The answer to a new render."""

    speaker: str = ""

    def presentation(self) -> Blocks:
        speaker = self.speaker or self.persona
        return page(paragraph("I am making ", self.link, f" with {speaker}.", self.id_in_brackets))


class Cancelled(RenderLine):
    deleted: bool = False
    trashed: bool = Field(default=False, description="Whether it was moved to the trash.")
    days: int | None = Field(default=None, description="How long it stays in the trash; none: for ever.")

    def presentation(self) -> Blocks:
        if self.deleted:
            return page(paragraph(f"“{self.title}” is deleted, with its files.", self.id_in_brackets))
        if self.trashed:
            sentence = f"“Restore the video {self.title} from the trash”"
            return page(
                paragraph(f"The video “{self.title}” is in the trash.", self.id_in_brackets),
                f"It can be restored {retention_words(self.days)}: say {sentence}.",
            )
        if self.state != "cancelled":
            return page(
                paragraph(self.link, " is being cancelled; its workers stop now.", self.id_in_brackets)
            )
        return page(paragraph(self.link, " is cancelled. No partial files remain."))


async def _request_of(context: ToolContext, request: MakeRender) -> RenderRequest:
    """As the studio takes it, with the speaker or the project that is meant."""
    if request.project is not None:
        return RenderRequest(project=(await project_named(context, request.project)).id)
    if request.video is not None:
        return await _request_like(context, request, request.video)
    persona = persona_named(context, request.persona)
    script, rate_wpm = request.script, None
    if request.pace is not None and script is not None:
        rate_wpm = rate_of(persona.voice, request.pace)
        script = with_pace(script, request.pace) if rate_wpm is None else script
    captions = captions_of(Captions(), request.captions, request.caption_size, request.caption_place)
    return RenderRequest(
        script=script,
        rate_wpm=rate_wpm,
        persona=persona.id,
        title=request.title or None,
        canvas=canvas_for(request.quality, request.shape),
        captions=captions.mode,
        caption_style=captions.style,
        background=background_of(request.background),
    )


async def _request_like(context: ToolContext, request: MakeRender, named: str) -> RenderRequest:
    """Returns the request for another version of a video: with its words, speaker, size and background, where
    nothing else is given.

    Raises:
        Conflict: `render.no_single_script`: it has several scenes, or a recording in place of a script.
    """
    video = await context.studio.renders.detail((await render_of(context, named)).id)
    spec = video.spec
    if (
        not isinstance(spec, RenderSpec)
        or len(spec.scenes) != 1
        or not (scene := spec.scenes[0]).script
        or scene.audio
    ):
        raise Conflict(
            "render.no_single_script",
            f"“{video.title}” has several scenes, or speech that was recorded.",
            "Change the project that it was made of, and make the video of that.",
        )
    fields_set = request.model_fields_set
    persona = request.persona if "persona" in fields_set else video.personas[0]
    like = await _request_of(
        context, request.model_copy(update={"script": scene.script, "video": None, "persona": persona})
    )
    quality = request.quality if "quality" in fields_set else None
    shape = request.shape if "shape" in fields_set else None
    return like.model_copy(
        update={
            "title": request.title or video.title,
            "canvas": resize(spec.canvas, quality, shape),
            "background": like.background or scene.background,
        }
    )


async def _plan_make(context: ToolContext, request: MakeRender) -> Plan:
    """Refuses what the act would: scenes without words, faces without consent, a full queue."""
    render_request = await _request_of(context, request)
    estimate = await context.studio.renders.plan(render_request)
    speakers = join_words([name_of(context, persona) for persona in estimate.personas])
    scenes = count(estimate.scenes, "scene")
    changes = [change(f"Make a video of {scenes} with {speakers}, {estimate.size}", f"“{estimate.title}”")]
    if render_request.script is not None:
        changes.append(change("It says", render_request.script))
    return Plan(changes=tuple(changes), seconds=estimate.seconds)


@tool(
    Act("write", "render:create", at_most={"script": 100000}), undo="cancel_render stops it", plan=_plan_make
)
async def make_render(context: ToolContext, request: MakeRender) -> Ticket:
    """Make a video of a script, a project, or what another video says. Answers at once with a ticket."""
    target = await _request_of(context, request)
    view = await context.studio.renders.create(target, requested_by=context.principal.name)
    speakers = join_words([name_of(context, persona) for persona in view.personas])
    return Ticket.of(view, context.services.out_dir).model_copy(update={"speaker": speakers})


class ListRenders(ToolRequest):
    limit: int = Field(default=20, ge=1, le=200, description="How many, newest first.")
    state: Literal["done", "failed", "cancelled", "active"] | None = Field(
        default=None, description="Only those in this state; active: that wait or are being made."
    )
    persona: str | None = Field(
        default=None, max_length=80, description="Only those in which this presenter speaks: name or id."
    )


class RenderLines(ToolResult):
    renders: tuple[RenderLine, ...]
    state: str | None = Field(default=None, description="The state that was asked for.")
    persona: str | None = Field(default=None, description="The id of the presenter that was asked for.")

    def presentation(self) -> Blocks:
        if not self.renders and (self.state is not None or self.persona is not None):
            return page("There are none. “Which videos are there?” shows all.")
        if not self.renders:
            return page("There are no videos yet. Say “Make a video where Nova says: Hello”.")
        rows = (
            (
                Id(text=line.render_id),
                StateLabel(state=line.state),
                line.link.model_copy(update={"text": line.title}),
            )
            for line in self.renders
        )
        return page(
            f"{count(len(self.renders), 'video')}, newest first:",
            table("Videos", ("Id", "State", "Title"), rows, maximum=None),
        )


@tool(Act("read", "render:read"))
async def list_renders(context: ToolContext, request: ListRenders) -> RenderLines:
    """List the videos, newest first."""
    persona = None if request.persona is None else persona_named(context, request.persona).id
    states = [] if request.state is None else [one for one in RenderState if _is_in(one, request.state)]
    views = await context.studio.renders.list(*states, persona=persona, limit=request.limit)
    lines = tuple(RenderLine.of(view, context.services.out_dir) for view in views)
    return RenderLines(renders=lines, state=request.state, persona=persona)


def _is_in(state: RenderState, name: str) -> bool:
    return state not in TERMINAL if name == "active" else state == name


class OneRender(ToolRequest):
    render: str = Field(
        default=LATEST,
        max_length=80,
        description="An id, the end of one, “latest” (done or not) or “finished” (the last that is).",
    )


@tool(Act("read", "render:read"))
async def show_render(context: ToolContext, request: OneRender) -> RenderLine:
    """Show one video: how far it is, why it waits or failed, and where its files are."""
    renders = context.studio.renders
    if request.render != FINISHED:
        return await explain_render(context, await render_of(context, request.render))
    done = await renders.list(RenderState.DONE, limit=1)
    if not done:
        return await explain_render(context, await render_of(context, LATEST))
    line = RenderLine.of(done[0], context.services.out_dir)
    newest = await renders.list(limit=1)
    return line if newest[0].ended else line.model_copy(update={"meanwhile": _newer(newest[0])})


class EndRender(OneRender):
    action: Literal["cancel", "delete"] = Field(
        default="cancel",
        description="cancel: stop making it; delete: move it to the trash with its files.",
    )
    forever: bool = Field(
        default=False,
        description="With delete: for good and at once, also where it is in the trash already.",
    )


async def _plan_end(context: ToolContext, request: EndRender) -> Plan:
    """Refuses to cancel one that has ended; of one that is cancelled already there is nothing to change."""
    target = await render_of(context, request.render)
    if request.action == "delete":
        return await _plan_deletion(context, target, forever=request.forever)
    refuse_cancel(target.state)
    if target.state is RenderState.CANCELLED:
        return Plan(changes=(), seconds=0)
    where = f"“{target.title}” ({target.id})"
    return Plan(changes=(change("Stop making the video; finished scenes stay in the cache", where),))


@tool(
    {
        "cancel": Act("destructive", "render:cancel", approvers=0),
        "delete": Act(
            "destructive",
            "render:delete",
            because="a video that is deleted is gone with its files, at once or after its days in the trash",
        ),
    },
    undo="ask for a cancelled video again; trash restores a deleted one, but not one deleted for good",
    plan=_plan_end,
)
async def cancel_render(context: ToolContext, request: EndRender) -> Cancelled:
    """Stop making a video, whose finished scenes stay in the cache; or move one to the trash with files."""
    services = context.services
    target = await render_of(context, request.render)
    if request.action == "delete" and request.forever:
        await services.studio.renders.delete(target.id)
        return Cancelled.of(target, services.out_dir).model_copy(update={"deleted": True, "files": ()})
    if request.action == "delete":
        if target.trashed_at is not None:
            raise already_there("video", target.title)
        await services.studio.render_editing.trash(target.id, by=context.principal.name)
        return Cancelled.of(target, services.out_dir).model_copy(
            update={"trashed": True, "days": services.trash_days}
        )
    view = await services.studio.renders.cancel(target.id)
    return Cancelled.of(view, services.out_dir)


class Repeated(RenderLine):
    def presentation(self) -> Blocks:
        again = " again; what was finished is used."
        return page(paragraph("I am making ", self.link, again, self.id_in_brackets))


async def _plan_retry(context: ToolContext, request: OneRender) -> Plan:
    """Refuses what has not failed; scenes that are finished are not counted."""
    video = await render_of(context, request.render)
    seconds = await context.studio.renders.plan_retry(video.id)
    where = f"“{video.title}” ({video.id})"
    what = f"Make the video again, its try number {video.attempt + 1}; finished scenes are used"
    return Plan(changes=(change(what, where),), seconds=seconds)


@tool(Act("write", "render:create"), undo="cancel_render stops it", plan=_plan_retry)
async def retry_render(context: ToolContext, request: OneRender) -> Repeated:
    """Try a failed or cancelled video again. What was finished is not made a second time."""
    target = await render_of(context, request.render)
    view = await context.studio.renders.retry(target.id)
    return Repeated.of(view, context.services.out_dir)


def _newer(view: RenderView) -> NewerRender:
    return NewerRender(render_id=view.id, title=view.title, state=view.state, message=message_of(view))
