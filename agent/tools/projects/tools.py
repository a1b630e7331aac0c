"""Lists projects and shows their scenes, and finds the project that people mean for the other tools."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from agent.presentation import Blocks, Items, items, page
from agent.presentation.text import count
from agent.tools.paces import without_pace
from agent.tools.personas.lookup import name_of
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import LATEST
from soundstage.errors import Conflict, NotFound
from soundstage.views import read_view
from studio.projects.schemas import ProjectView
from studio.scenes.schemas import SceneView, is_filled
from studio.scenes.speaking_time import speaking_ms

MAX_PROJECTS = 1000
SHOWN_CHARS = 90
LAST = "last"


def _as_text(value: object) -> object:
    """Numbers as people say them: 2, 2.0 and "2" are one scene."""
    if isinstance(value, float):
        return str(int(value) if value.is_integer() else value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


ProjectRef = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1, max_length=200, description="Title or id, or “latest”."),
]
SceneRef = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1, max_length=200, description="1, 2, … or “last” or a title."),
]


class SceneLine(BaseModel, frozen=True):
    """A scene in a few words; `number` counts from 1, `seconds` is how long it takes to say."""

    scene_id: str
    number: int
    title: str
    script: str
    persona: str | None = None
    seconds: float
    has_words: bool


class ProjectLine(BaseModel, frozen=True):
    """A project in a few words."""

    id: str
    title: str
    slug: str
    persona: str
    updated_at: datetime


class ListProjects(ToolRequest):
    project: ProjectRef | None = Field(
        default=None, description="Show the scenes of this one: title or id, or “latest”."
    )
    scene: SceneRef | None = Field(default=None, description="Only this scene, with all its words.")
    limit: int = Field(default=20, ge=1, le=200, description="How many, latest change first.")


class ProjectLines(ToolResult):
    projects: tuple[ProjectLine, ...]
    project_id: str | None = None
    scenes: tuple[SceneLine, ...] = ()
    whole: bool = False

    def presentation(self) -> Blocks:
        if self.project_id is not None:
            return self._scenes(self.projects[0])
        if not self.projects:
            return page("There are no projects yet. Say “Create a project called Tides”.")
        head = f"{count(len(self.projects), 'project')}, the latest change first:"
        return page(head, items(f"{one.title}  ({one.slug})" for one in self.projects))

    def _scenes(self, project: ProjectLine) -> Blocks:
        if self.whole:
            [scene] = self.scenes
            title = f" “{scene.title}”" if scene.title else ""
            return page(
                f"Scene {scene.number} of “{project.title}”{title}:", scene.script or "It has no words yet."
            )
        if not self.scenes:
            return page(
                f"“{project.title}” has no scenes yet. "
                f"Say “Add a scene to {project.title} where {project.persona} says: Hello”."
            )
        speakers = dict.fromkeys(scene.persona or project.persona for scene in self.scenes)
        scenes = f"{count(len(self.scenes), 'scene')} for {', '.join(speakers)}"
        seconds = sum(scene.seconds for scene in self.scenes)
        return page(f"“{project.title}” has {scenes}, about {seconds:.0f} s:", scene_list(self.scenes))


@tool(Act("read", "project:read"))
async def list_projects(context: ToolContext, request: ListProjects) -> ProjectLines:
    """List the projects, or show the scenes of one."""
    if request.project is None and request.scene is None:
        found = await context.studio.projects.list(request.limit)
        return ProjectLines(projects=tuple(project_line(context, one) for one in found))
    context.principal.require("scene:read")
    project = await project_named(context, request.project or LATEST)
    scenes = await context.studio.scenes.list(project.id)
    if request.scene is not None:
        scenes = [scene_named(project, scenes, request.scene)]
    return ProjectLines(
        projects=(project_line(context, project),),
        project_id=project.id,
        scenes=scene_lines(context, scenes),
        whole=request.scene is not None,
    )


async def project_named(context: ToolContext, reference: str) -> ProjectView:
    """By id, slug or title; “latest”: what the conversation is about. A near miss is told, never guessed."""
    if reference == LATEST:
        return await _latest(context)
    projects = await context.studio.projects.list(MAX_PROJECTS)
    folded = reference.strip().casefold()
    for one in projects:
        if folded in (one.id.casefold(), one.slug):
            return one
    titled = [one for one in projects if one.title.casefold() == folded]
    if len(titled) > 1:
        slugs = ", ".join(one.slug for one in titled)
        raise Conflict(
            "project.ambiguous", f"Several projects are called “{titled[0].title}”.", f"Say which: {slugs}."
        )
    if titled:
        return titled[0]
    raise NotFound(
        "project.not_found", f"There is no project {reference.strip()!r}.", _near(reference, projects)
    )


def scene_named(project: ProjectView, scenes: Sequence[SceneView], reference: str) -> SceneView:
    """By number from 1, “last”, id or title."""
    if reference.isdecimal() and 1 <= int(reference) <= len(scenes):
        return scenes[int(reference) - 1]
    folded = reference.casefold()
    if folded == LAST and scenes:
        return scenes[-1]
    found = [one for one in scenes if folded in (one.id.casefold(), one.title.casefold())]
    if len(found) == 1:
        return found[0]
    have = (
        "It has no scenes yet."
        if not scenes
        else f"It has scenes 1 to {len(scenes)}; say its number."
        if len(scenes) > 1
        else "It has one scene."
    )
    several = f"“{project.title}” has several scenes called {reference!r}."
    missing = f"“{project.title}” has no scene {reference!r}."
    raise NotFound("scene.not_found", several if found else missing, have)


def project_line(context: ToolContext, project: ProjectView) -> ProjectLine:
    return read_view(ProjectLine, project, persona=name_of(context, project.persona))


def scene_lines(context: ToolContext, scenes: Sequence[SceneView]) -> tuple[SceneLine, ...]:
    return tuple(
        SceneLine(
            scene_id=scene.id,
            number=scene.position + 1,
            title=scene.title,
            script=scene.script,
            persona=None if scene.persona is None else name_of(context, scene.persona),
            seconds=round(speaking_ms(scene.script) / 1000, 1),
            has_words=is_filled(scene),
        )
        for scene in scenes
    )


def scene_list(scenes: Sequence[SceneLine]) -> Items:
    """Returns an entry per scene: its number, its first words, who speaks when it is not the usual one."""
    lines = []
    for scene in scenes:
        who = f" ({scene.persona})" if scene.persona else ""
        words = " ".join(without_pace(scene.script).split())
        words = words if len(words) <= SHOWN_CHARS else words[: SHOWN_CHARS - 1].rstrip() + "…"
        lines.append(f"{scene.number}. {words or (scene.title or 'no words yet')}{who}")
    return items(lines)


async def _latest(context: ToolContext) -> ProjectView:
    """Returns the project of the conversation, of its last video, or the only one there is."""
    projects = context.studio.projects
    if context.last_project_id is not None:
        return await projects.get(context.last_project_id)
    if context.last_render_id is not None:
        render = await context.studio.renders.get(context.last_render_id)
        if render.project_id is not None:
            return await projects.get(render.project_id)
    known = await projects.list(MAX_PROJECTS)
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFound("project.none_yet", "There is no project yet.", "Say “Create a project called Tides”.")
    raise Conflict("project.which", "It is not said which project is meant.", _near("", known))


def _near(reference: str, projects: Sequence[ProjectView]) -> str:
    titles = {one.title.casefold(): one.title for one in projects}
    close = get_close_matches(reference.strip().casefold(), titles, n=1, cutoff=0.6)
    if close:
        return f"Did you mean “{titles[close[0]]}”?"
    if not titles:
        return "Say “Create a project called Tides”."
    return f"There are: {', '.join(list(titles.values())[:8])}{', …' if len(titles) > 8 else ''}."
