"""Creates, copies, renames, changes, restores and deletes projects for edit_project."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agent.tools.looks import background_of, captions_of
from agent.tools.paces import Pace, with_pace
from agent.tools.personas.lookup import persona_named
from agent.tools.projects.edit_schemas import EditProject, ProjectEdited, describe_edit
from agent.tools.projects.tools import MAX_PROJECTS, project_named
from agent.tools.record import ToolContext
from agent.tools.sizes import canvas_for, resize
from agent.tools.trash import already_there, find_project_in_trash, retention_words
from soundstage.errors import NotFound
from studio.brands.schemas import BrandView
from studio.projects.schemas import ProjectChange, ProjectCopy, ProjectDraft, ProjectView
from studio.scenes.schemas import SceneDraft

NO_BRAND = frozenset(("none", "no"))

_SPOKEN: Mapping[Pace, str] = MappingProxyType(
    {
        "slowest": "much slower",
        "slow": "slower",
        "normal": "at the usual pace",
        "fast": "faster",
        "fastest": "much faster",
    }
)

_PLACES = MappingProxyType({"top": "at the top", "middle": "in the middle", "bottom": "at the bottom"})


async def create_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    persona = persona_named(context, request.persona or "nova")
    project = await context.studio.projects.create(
        ProjectDraft(
            title=request.title or "",
            persona=persona.id,
            canvas=canvas_for(request.quality or "1080p", request.shape or "landscape"),
        )
    )
    done = f"The project “{project.title}” is there. Say “Add a scene where {persona.name} says: Hello”."
    done = f"{done}{await _namesake(context, project)}"
    return ProjectEdited(project_id=project.id, project=project.title, done=done)


async def copy_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    original = await project_named(context, request.project)
    named = ProjectCopy(title=request.title)
    copy = await context.studio.projects.copy(original.id, named, context.principal)
    done = f"The project “{copy.title}” is a copy of “{original.title}”.{await _namesake(context, copy)}"
    return await describe_edit(context, copy, done)


async def _namesake(context: ToolContext, project: ProjectView) -> str:
    """Returns the sentence that tells a new project from another of its title; empty without one."""
    known = await context.studio.projects.list(MAX_PROJECTS)
    if all(one.title.casefold() != project.title.casefold() or one.id == project.id for one in known):
        return ""
    return f" Another project is called so, too; this one is {project.slug}."


async def rename_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    saved = await context.studio.versions.keep(project.id, "before it got another name")
    renamed = await context.studio.projects.change(project.id, ProjectChange(title=request.title))
    return await describe_edit(
        context,
        renamed,
        f"“{project.title}” is called “{renamed.title}” now.",
        version=saved.number,
        shown=False,
    )


async def change_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    """Changes the speaker and the picture; scenes with a speaker of their own keep that one. Background and
    pace are those of scenes, and change in all of them.
    """
    project = await project_named(context, request.project)
    fields: dict[str, Any] = {}
    parts = []
    if request.persona is not None:
        persona = persona_named(context, request.persona)
        fields["persona"] = persona.id
        parts.append(f"{persona.name} speaks")
    if request.quality is not None or request.shape is not None:
        canvas = fields["canvas"] = resize(project.canvas, request.quality, request.shape)
        parts.append(f"the picture is {canvas.width} × {canvas.height}")
    named = (request.captions, request.caption_size, request.caption_place)
    if any(one is not None for one in named):
        captions = captions_of(project.output.captions, *named)
        fields["output"] = project.output.model_copy(update={"captions": captions})
        mode = captions.mode if captions.mode != project.output.captions.mode else request.captions
        looks = [_PLACES.get(one, one) for one in (mode, *named[1:]) if one is not None]
        parts += [f"captions are {look}" for look in looks]
    if request.background is not None:
        parts.append("all scenes have another background")
    if request.brand is not None:
        brand = await find_brand(context, request.brand)
        fields["brand"] = None if brand is None else brand.id
        parts.append("no brand is used" if brand is None else f"the brand “{brand.name}” is used")
    if request.pace is not None:
        parts.append(f"all scenes are spoken {_SPOKEN[request.pace]}")
    saved = await context.studio.versions.keep(project.id, "before its look was changed")
    changed = await context.studio.projects.change(project.id, ProjectChange(**fields))
    await _change_all(context, project, request)
    done = f"In “{project.title}” {' and '.join(parts)} now."
    return await describe_edit(context, changed, done, version=saved.number, shown=False)


async def find_brand(context: ToolContext, name: str) -> BrandView | None:
    """Returns the brand of that name; None for “none”. Raises NotFound `brand.not_found`."""
    context.principal.require("brand:read")
    return None if name.casefold() in NO_BRAND else await context.studio.brands.get(name)


async def _change_all(context: ToolContext, project: ProjectView, request: EditProject) -> None:
    if request.background is None and request.pace is None:
        return
    for scene in await context.studio.scenes.list(project.id):
        fields: dict[str, Any] = {}
        if request.background is not None:
            fields["background"] = background_of(request.background)
        if request.pace is not None and scene.script:
            fields["script"] = with_pace(scene.script, request.pace)
        if fields:
            await context.studio.scenes.change(project.id, scene.id, SceneDraft(**fields))


async def restore_version(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    # Before anything is kept: what is kept would itself be found as the version that was meant.
    version = await find_version(context, project, request)
    saved = await context.studio.versions.keep(project.id, "before an earlier version came back")
    restored = await context.studio.versions.restore(project.id, version)
    done = f"“{restored.title}” is as it was in version {version}."
    return await describe_edit(
        context, restored, done, version=None if saved.number == version else saved.number, lost=True
    )


async def find_version(context: ToolContext, project: ProjectView, request: EditProject) -> int:
    """Returns the version that is meant. Raises `project.version_not_found` for one that was not kept."""
    number = request.version
    if number is None:
        number = max((one.number for one in await context.studio.versions.list(project.id)), default=1)
    return (await context.studio.versions.get(project.id, number)).number


async def delete_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    services, by = context.services, context.principal.name
    project = await find_project(context, request)
    if request.forever:
        await services.studio.projects.delete(project.id, by=by)
        done = f"The project “{project.title}” is deleted. Its videos stay."
        return ProjectEdited(project_id=None, project=project.title, done=done)
    await services.studio.projects.trash(project.id, by=by)
    done = (
        f"The project “{project.title}” is in the trash. Its videos stay. "
        f"It can be restored {retention_words(services.trash_days)}: "
        f"say “Restore the project {project.title} from the trash”."
    )
    return ProjectEdited(project_id=None, project=project.title, done=done, trashed_project_id=project.id)


async def find_project(context: ToolContext, request: EditProject) -> ProjectView:
    """Returns the project that is meant; what is to be deleted for good may be in the trash. Raises Conflict
    `trash.already_there`, and `project.not_found`.
    """
    try:
        project = await project_named(context, request.project)
    except NotFound:
        if not request.forever or request.action != "delete":
            raise
        project = await find_project_in_trash(context, request.project)
    if request.action == "delete" and project.trashed_at is not None and not request.forever:
        raise already_there("project", project.title)
    return project
