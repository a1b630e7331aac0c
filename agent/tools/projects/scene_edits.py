"""Adds, changes, moves, copies and deletes scenes for edit_project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar.spec import Overlay, TextOverlay

from agent.tools.looks import background_of, heading_over
from agent.tools.paces import with_pace
from agent.tools.personas.lookup import persona_named
from agent.tools.projects.edit_schemas import EditProject, ProjectEdited, describe_edit
from agent.tools.projects.tools import project_named, scene_named
from agent.tools.record import ToolContext
from soundstage.errors import Invalid
from studio.projects.schemas import ProjectView
from studio.scenes.schemas import SceneDraft, SceneView


async def add_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    scenes = await context.studio.scenes.list(project.id)
    place = scene_index(project, scenes, request)
    persona = None if request.persona is None else persona_named(context, request.persona).id
    created = await context.studio.scenes.create(
        project.id,
        SceneDraft(
            title=request.title or "",
            script=with_pace(request.script, request.pace)
            if request.script and request.pace
            else request.script or "",
            # Its usual speaker is not written into the scene: it follows when the project gets another one.
            persona=None if persona == project.persona else persona,
            background=background_of(request.background),
            overlays=_headings(request.heading),
            position=place,
        ),
    )
    edited = await describe_edit(
        context, project, f"“{project.title}” has a new scene {created.position + 1}."
    )
    return edited.model_copy(update={"scene_id": created.id})


async def change_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project, _, scene = await _scene(context, request)
    fields: dict[str, Any] = {}
    if request.script is not None or request.pace is not None:
        script = scene.script if request.script is None else request.script
        fields["script"] = with_pace(script, request.pace) if request.pace else script
    if request.title is not None:
        fields["title"] = request.title
    if request.persona is not None:
        fields["persona"] = persona_named(context, request.persona).id
    if request.background is not None:
        fields["background"] = background_of(request.background)
    if request.heading is not None:
        fields["overlays"] = (*_without_heading(scene.overlays), *_headings(request.heading))
    saved = await context.studio.versions.keep(project.id, "before a scene was changed")
    await context.studio.scenes.change(project.id, scene.id, SceneDraft(**fields))
    done = f"Scene {scene.position + 1} of “{project.title}” is changed."
    edited = await describe_edit(context, project, done, version=saved.number)
    return edited.model_copy(update={"scene_id": scene.id})


async def move_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project, scenes, scene = await _scene(context, request)
    others = [one for one in scenes if one.id != scene.id]
    place = scene_index(project, scenes, request)
    target = None if place is None or place >= len(scenes) else scenes[place].id
    if request.to is not None:
        # A place among all of them: what was there makes room.
        index = len(others) if place is None else min(place, len(others))
    elif target == scene.id:
        index = scene.position
    else:
        index = len(others) if target is None else [one.id for one in others].index(target)
    order = [one.id for one in others]
    order.insert(index, scene.id)
    saved = await context.studio.versions.keep(project.id, "before a scene was moved")
    await context.studio.scenes.reorder(project.id, order)
    done = f"Scene {scene.position + 1} of “{project.title}” is scene {index + 1} now."
    edited = await describe_edit(context, project, done, version=saved.number)
    return edited.model_copy(update={"scene_id": scene.id})


async def duplicate_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    """Makes another scene that is the same in all but its id, behind the first one or at the place named."""
    project, scenes, scene = await _scene(context, request)
    is_placed = any((request.to, request.before, request.after))
    place = scene_index(project, scenes, request) if is_placed else scene.position + 1
    body = {name: getattr(scene, name) for name in SceneDraft.model_fields if name != "position"}
    created = await context.studio.scenes.create(project.id, SceneDraft(**body, position=place))
    original = scene.position + 1 + (created.position <= scene.position)
    done = f"Scene {created.position + 1} of “{project.title}” is a copy of scene {original}."
    edited = await describe_edit(context, project, done)
    return edited.model_copy(update={"scene_id": created.id})


async def delete_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project, _, scene = await _scene(context, request)
    saved = await context.studio.versions.keep(project.id, "before a scene was deleted")
    await context.studio.scenes.delete(project.id, scene.id)
    done = f"Scene {scene.position + 1} of “{project.title}” is deleted."
    return await describe_edit(context, project, done, version=saved.number, lost=True)


async def _scene(
    context: ToolContext, request: EditProject
) -> tuple[ProjectView, list[SceneView], SceneView]:
    project = await project_named(context, request.project)
    scenes = await context.studio.scenes.list(project.id)
    return project, scenes, scene_named(project, scenes, request.scene or "")


def scene_index(project: ProjectView, scenes: Sequence[SceneView], request: EditProject) -> int | None:
    """Returns the index of a scene in its new place; None: at the end."""
    if request.before is not None:
        return scene_named(project, scenes, request.before).position
    if request.after is not None:
        return scene_named(project, scenes, request.after).position + 1
    if request.to is None or request.to == "last":
        return None
    if request.to == "first":
        return 0
    if not request.to.isdecimal() or not 1 <= int(request.to) <= len(scenes) + 1:
        raise Invalid(
            "scene.no_such_place",
            f"“{project.title}” has no place {request.to!r} for a scene.",
            f"Say a number from 1 to {max(len(scenes), 1)}, “first” or “last”.",
        )
    return int(request.to) - 1


def _headings(text: str | None) -> tuple[TextOverlay, ...]:
    return (heading_over(text),) if text else ()


def _without_heading(overlays: Sequence[Overlay]) -> tuple[Overlay, ...]:
    """Other overlays stay; a heading is the text that stands where headings stand."""
    place = heading_over("x").box
    return tuple(one for one in overlays if not (isinstance(one, TextOverlay) and one.box == place))
