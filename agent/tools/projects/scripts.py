"""Makes scripts in scenes: out of a given text, or written about a topic by a language model."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal, Self

from avatar.spec import Captions, Output
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import Field, model_validator

from agent.memory.service import Owner
from agent.presentation import Blocks, Id, Link, Paragraph, page, paragraph
from agent.presentation.text import NUMBERS
from agent.tools.looks import CAPTIONS, BackgroundChoice, CaptionChoice, background_of, heading_over
from agent.tools.personas.lookup import name_of, persona_named
from agent.tools.plan import Change, Plan, change
from agent.tools.projects.tools import ProjectRef, SceneLine, project_named, scene_lines, scene_list
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.sizes import Quality, Shape, canvas_for
from agent.writing.scenes import SCENES_OF_A_TOPIC, ScriptBrief
from soundstage.errors import NotFound, SoundstageError
from studio.personas.schemas import Persona
from studio.projects.schemas import ProjectDraft, ProjectView
from studio.renders.schemas import RenderRequest
from studio.scenes.dividing import MAX_SCENES, PlannedScene, scenes_of
from studio.scenes.schemas import SceneDraft, is_filled

_GERMAN_CASES = re.compile(r"\A(?:den|dem|des|einen|einem)\s+(?=\w)", re.IGNORECASE)
"""Articles of a case that no title has."""
TOPIC_CHARS = 500
MAX_REMEMBERED = 20
LONGEST_S = 840.0
"""A model on an old processor may take long, with several tries; the limits of a turn end it before."""


class WriteScript(ToolRequest):
    action: Literal["draft", "film"] = Field(
        description="draft: only the project with its scenes; film: the video of it as well."
    )
    topic: str | None = Field(
        default=None, max_length=TOPIC_CHARS, description="What it is about, in the person's own words."
    )
    text: str | None = Field(
        default=None,
        max_length=MAX_SCRIPT_CHARS,
        description="A text of the person's own, which is spoken word for word and only divided into scenes.",
    )
    from_memory: bool = Field(
        default=False,
        description="In place of a text: what the person had remembered about the topic, word for word.",
    )
    scenes: int | None = Field(default=None, ge=1, le=MAX_SCENES, description="How many scenes.")
    persona: str | None = Field(default=None, max_length=80, description="The name or id of a persona.")
    title: str | None = Field(default=None, max_length=200, description="How it is called.")
    project: ProjectRef | None = Field(
        default=None,
        description="A project whose scenes have no words yet, to be filled in place of a new one.",
    )
    quality: Quality = Field(default="1080p", description="One of 360p, 480p, 720p, 1080p, 1440p, 2160p.")
    shape: Shape = Field(default="landscape", description="One of landscape, square, vertical.")
    captions: CaptionChoice | None = Field(default=None, description=CAPTIONS)
    background: BackgroundChoice = None

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if not any((part or "").strip() for part in (self.topic, self.text)):
            raise ValueError("give a topic or a text")
        if self.from_memory and ((self.text or "").strip() or not (self.topic or "").strip()):
            raise ValueError("from_memory needs a topic and no text")
        return self


class ScriptResult(ToolResult):
    """The project with its scenes and, where one is made, its video."""

    project_id: str
    project: str
    speaker: str
    scenes: tuple[SceneLine, ...]
    written_by: Literal["given", "model", "nobody"]
    wanted_scenes: int | None = None
    render_id: str | None = None
    state: str | None = None
    problem: str = Field(default="", description="Why no video is being made although one was asked for.")

    def presentation(self) -> Blocks:
        if self.written_by == "nobody":
            return page(self._waiting_for_words())
        less = ""
        if self.wanted_scenes is not None and len(self.scenes) < self.wanted_scenes:
            there = _count(len(self.scenes), "sentence")
            less = f"You asked for {_count(self.wanted_scenes)}; the text has {there}."
        next_step = f"Say “Render the project {self.project}” when you like it."
        return page(
            self._beginning(),
            scene_list(self.scenes),
            less,
            self.problem or ("" if self.render_id else next_step),
        )

    def _beginning(self) -> Paragraph:
        count = _count(len(self.scenes))
        seconds = f"about {sum(scene.seconds for scene in self.scenes):.0f} s"
        title = f"“{self.project}”"
        if self.render_id is None:
            return paragraph(f"{title} has {count} for {self.speaker}, {seconds}:")
        return paragraph(
            "I am making ",
            Link(to="video", id=self.render_id, text=title),
            f" with {self.speaker} in {count}, {seconds}",
            Id(text=f" ({self.render_id})"),
            ":",
        )

    def _waiting_for_words(self) -> str:
        count = _count(len(self.scenes), "empty scene")
        return (
            f"“{self.project}” is there with {count} for {self.speaker}, but nobody here can write: "
            "that takes a language model, and none is set up ([llm] in the settings).\n"
            f"Give me the words: “Write {self.project} from this text: …” divides a text into the scenes, "
            f"“Change scene 1 of {self.project} to: …” fills one."
        )


@dataclass(frozen=True, slots=True)
class _Plot:
    """The subject of a call, looked up before anything is written."""

    persona: Persona
    project: ProjectView | None
    """The one to fill; None: a new one."""
    title: str
    parts: tuple[PlannedScene, ...]
    """Returns the scenes of the request's text; empty when a script has to be written."""


async def _planned(context: ToolContext, request: WriteScript) -> Plan:
    plot = await _plot(context, request)
    where = f"project “{plot.title}”"
    changes = []
    if plot.project is None:
        changes.append(Change(what="Make a project", where=where))
    if plot.parts:
        changes += [
            change(f"Scene {number}: {scene.script}", where)
            for number, scene in enumerate(plot.parts, start=1)
        ]
    else:
        count = request.scenes or SCENES_OF_A_TOPIC
        changes.append(Change(what=f"Have {_count(count)} written by a language model", where=where))
    if request.action == "film":
        changes.append(Change(what=f"Make a video of it with {plot.persona.name}", where=where))
    return Plan(changes=tuple(changes))


@tool(
    {
        "draft": Act("write", "project:create", at_most={"text": 100000}),
        "film": Act("write", "render:create", at_most={"text": 100000}),
    },
    undo="cancel_render stops the video; edit_project changes or deletes the project",
    plan=_planned,
    timeout_s=LONGEST_S,
)
async def write_script(context: ToolContext, request: WriteScript) -> ScriptResult:
    """Make a script in scenes about a topic or out of a text, and a video of it where one is wanted."""
    for needed in ("project:create", "scene:create"):
        context.principal.require(needed)
    plot = await _plot(context, request)
    scenes, written_by, title = plot.parts, "given", plot.title
    if not scenes:
        count = request.scenes or SCENES_OF_A_TOPIC
        author = context.services.author
        brief = ScriptBrief(
            topic=(request.topic or "").strip(),
            scenes=count,
            speaker=plot.persona.name,
            language=plot.persona.style.language,
        )
        written = None if author is None else await author.write(brief)
        if written is None:
            scenes, written_by = tuple(PlannedScene(title=f"Scene {n + 1}") for n in range(count)), "nobody"
        else:
            scenes, written_by = written.scene_plan(), "model"
            title = request.title or (title if plot.project is not None else written.title)
    project = plot.project or await _project(context, request, plot.persona, title)
    filled = await context.studio.scenes.fill(project.id, [_draft(scene, request) for scene in scenes])
    result = ScriptResult(
        project_id=project.id,
        project=project.title,
        speaker=name_of(context, project.persona),
        scenes=scene_lines(context, filled),
        written_by=written_by,
        wanted_scenes=request.scenes,
    )
    return result if request.action == "draft" or written_by == "nobody" else await _filmed(context, result)


async def _plot(context: ToolContext, request: WriteScript) -> _Plot:
    project = None if request.project is None else await project_named(context, request.project)
    persona = persona_named(context, request.persona or (project.persona if project else "nova"))
    topic = (request.topic or "").strip()
    text = await _remembered(context, topic) if request.from_memory else (request.text or "").strip()
    # In a thread: a book of a text takes seconds.
    parts = await asyncio.to_thread(scenes_of, text, request.scenes) if text else ()
    title = project.title if project else request.title or _titled(topic) or parts[0].title
    return _Plot(persona, project, title, parts)


async def _remembered(context: ToolContext, topic: str) -> str:
    """Returns the memories about a topic, oldest first, a paragraph for each."""
    context.principal.require("memory:read")
    found = await context.services.memory.recall(Owner.of(context.principal), topic, limit=MAX_REMEMBERED)
    if not found.memories:
        raise NotFound(
            "writing.nothing_remembered",
            f"Nothing is remembered about {topic!r}.",
            "Say “Remember that …” first, or give a text: “… from this text: …”.",
        )
    ordered = sorted(found.memories, key=lambda one: (one.created_at, one.id))
    return "\n\n".join(one.text for one in ordered)


async def _filmed(context: ToolContext, result: ScriptResult) -> ScriptResult:
    """With the render; where that cannot be made, the scenes stay and the reason is told."""
    try:
        render = await context.studio.renders.create(
            RenderRequest(project=result.project_id), requested_by=context.principal.name
        )
    except SoundstageError as error:
        retry_hint = f"The scenes are kept; say “Render the project {result.project}” to try again."
        problem = f"No video is being made: {error.message} {error.hint}".strip()
        return result.model_copy(update={"problem": f"{problem}\n{retry_hint}"})
    return result.model_copy(update={"render_id": render.id, "state": render.state})


async def _project(context: ToolContext, request: WriteScript, persona: Persona, title: str) -> ProjectView:
    """A new project, or the one of that title that has no words yet: asking twice makes no second one."""
    for known in await context.studio.projects.list():
        same = known.title == title and known.persona == persona.id
        if same and not any(map(is_filled, await context.studio.scenes.list(known.id))):
            return known
    return await context.studio.projects.create(
        ProjectDraft(
            title=title,
            persona=persona.id,
            canvas=canvas_for(request.quality, request.shape),
            output=Output(captions=Captions(mode=request.captions) if request.captions else Captions()),
        )
    )


def _draft(scene: PlannedScene, request: WriteScript) -> SceneDraft:
    return SceneDraft(
        title=scene.title,
        script=scene.script,
        background=background_of(scene.background or request.background),
        overlays=(heading_over(scene.heading),) if scene.heading else (),
    )


def _titled(topic: str) -> str:
    """“the tides of the sea” → “The tides of the sea”, “über den Mond” → “Mond”; capitals inside stay."""
    line = _GERMAN_CASES.sub("", " ".join(topic.split())[:200])
    return line[:1].upper() + line[1:]


def _count(number: int, noun: str = "scene") -> str:
    word = str(number) if number >= len(NUMBERS) else NUMBERS[number] if number else "no"
    return f"{word} {noun}{'' if number == 1 else 's'}"
