"""The tool that changes projects and their scenes: what people edit by hand, by a sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from agent.tools.paces import without_pace
from agent.tools.personas.lookup import persona_named
from agent.tools.plan import Change, Plan, change
from agent.tools.projects.edit_schemas import EditProject, ProjectEdited
from agent.tools.projects.project_edits import (
    change_project,
    copy_project,
    create_project,
    delete_project,
    find_brand,
    find_project,
    find_version,
    rename_project,
    restore_version,
)
from agent.tools.projects.scene_edits import (
    add_scene,
    change_scene,
    delete_scene,
    duplicate_scene,
    move_scene,
    scene_index,
)
from agent.tools.projects.tools import scene_named
from agent.tools.record import Act, ToolContext, tool
from agent.tools.trash import retention_words
from studio.scenes.schemas import SceneView

_ACTIONS: Mapping[str, Callable[[ToolContext, EditProject], Awaitable[ProjectEdited]]] = MappingProxyType(
    {
        "create": create_project,
        "copy": copy_project,
        "rename": rename_project,
        "change": change_project,
        "add_scene": add_scene,
        "change_scene": change_scene,
        "move_scene": move_scene,
        "duplicate_scene": duplicate_scene,
        "delete_scene": delete_scene,
        "restore": restore_version,
        "delete": delete_project,
    }
)


async def _planned(context: ToolContext, request: EditProject) -> Plan:
    """Names what is there now, so that an agreement is void when it has changed meanwhile."""
    if request.action == "create":
        persona = persona_named(context, request.persona or "nova")
        return Plan(changes=(change(f"Make a project “{request.title}” with {persona.name}"),))
    project = await find_project(context, request)
    where = f"project “{project.title}” ({project.id})"
    scenes = await context.studio.scenes.list(project.id)
    if request.persona is not None:
        persona_named(context, request.persona)
    if request.action in ("add_scene", "move_scene", "duplicate_scene"):
        scene_index(project, scenes, request)
    if request.brand is not None:
        await find_brand(context, request.brand)
    if request.action == "restore":
        await find_version(context, project, request)
    match request.action:
        case "copy":
            title = "" if request.title is None else f" called “{request.title}”"
            return Plan(changes=(change(f"Make a copy of it with {len(scenes)} scenes{title}", where),))
        case "delete":
            with_it = f"its versions and {len(scenes)} scenes"
            if not request.forever:
                how_long = retention_words(context.services.trash_days)
                restoring = f"where it can be restored {how_long}; its videos stay"
                what = f"Move it to the trash with {with_it}, {restoring}"
                return Plan(changes=(Change(what=what, where=where),))
            lost = [Change(what=_line("Delete", scene), where=where) for scene in scenes]
            what = f"Delete it for good with {with_it}; its videos stay"
            return Plan(changes=(Change(what=what, where=where, deletes=True), *lost))
        case "delete_scene" | "change_scene" | "move_scene" | "duplicate_scene":
            scene = scene_named(project, scenes, request.scene or "")
            verb = request.action.removesuffix("_scene").capitalize()
            chosen = request.model_dump(exclude_none=True, exclude={"action", "project", "scene", "forever"})
            how = f" ({', '.join(f'{name}: {value}' for name, value in chosen.items())})" if chosen else ""
            return Plan(changes=(change(f"{_line(verb, scene)}{how}", where),))
        case _:
            chosen = request.model_dump(exclude_none=True, exclude={"action", "project", "forever"})
            how = ", ".join(f"{name}: {value}" for name, value in chosen.items())
            return Plan(changes=(change(f"{request.action.replace('_', ' ')} ({how})", where),))


@tool(
    {
        "create": Act("write", "project:create"),
        "copy": Act("write", "project:create"),
        "rename": Act("write", "project:update"),
        "change": Act("write", "project:update"),
        "add_scene": Act("write", "scene:create", at_most={"script": 100000}),
        "change_scene": Act("write", "scene:update", at_most={"script": 100000}),
        "move_scene": Act("write", "scene:update"),
        "duplicate_scene": Act("write", "scene:create"),
        "delete_scene": Act("destructive", "scene:delete", approvers=0),
        "restore": Act("write", "project:update"),
        "delete": Act(
            "destructive",
            "project:delete",
            because="a deleted project is gone with its versions, at once or after its days in the trash",
        ),
    },
    undo="edit_project restore goes back to an earlier version; trash restores a deleted project, but not "
    "one deleted for good",
    plan=_planned,
)
async def edit_project(context: ToolContext, request: EditProject) -> ProjectEdited:
    """Make a project, or change it or its scenes: add, change, move, copy, delete, rename, go back."""
    return await _ACTIONS[request.action](context, request)


def _line(verb: str, scene: SceneView) -> str:
    """A scene in a plan: its number, and by its words which one it is."""
    words = " ".join(without_pace(scene.script).split())[:120] or "no words"
    return f"{verb} scene {scene.position + 1}: {words} ({scene.id})"
