"""The tool that changes projects and their scenes: what people edit by hand, by a sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Self

from avatar.spec import Overlay, TextOverlay
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import Field, model_validator

from agent.presentation import Blocks, page
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
    heading_over,
)
from agent.tools.paces import PACE, Pace, with_pace, without_pace
from agent.tools.personas.lookup import persona_named
from agent.tools.plan import Change, Plan, change
from agent.tools.projects.tools import (
    MAX_PROJECTS,
    ProjectRef,
    SceneLine,
    SceneRef,
    project_named,
    scene_lines,
    scene_list,
    scene_named,
)
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import LATEST
from agent.tools.sizes import Quality, Shape, canvas_for, resize
from agent.tools.trash import already_there, find_project_in_trash, retention_words
from agent.writing.scenes import HEADING_CHARS
from soundstage.errors import Invalid, NotFound
from soundstage.one_line import OneLine
from studio.brands.schemas import BrandView
from studio.projects.schemas import ProjectChange, ProjectCopy, ProjectDraft, ProjectView
from studio.scenes.schemas import SceneDraft, SceneView

Action = Literal[
    "create",
    "copy",
    "rename",
    "change",
    "add_scene",
    "change_scene",
    "move_scene",
    "duplicate_scene",
    "delete_scene",
    "restore",
    "delete",
]

_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "create": ("title",),
        "rename": ("title",),
        "change_scene": ("scene",),
        "move_scene": ("scene",),
        "duplicate_scene": ("scene",),
        "delete_scene": ("scene",),
    }
)
_CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "change": (
            "persona",
            "quality",
            "shape",
            "captions",
            "caption_size",
            "caption_place",
            "background",
            "pace",
            "brand",
        ),
        "change_scene": ("script", "title", "persona", "background", "heading", "pace"),
        "move_scene": ("to", "before", "after"),
    }
)


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


class EditProject(ToolRequest):
    action: Action = Field(description="What shall be done.")
    project: ProjectRef = Field(default=LATEST, description="Title or id, or “latest”. Not with create.")
    title: OneLine | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The name of a new project, copy or scene, or the new name.",
    )
    scene: SceneRef | None = None
    script: str | None = Field(
        default=None, max_length=MAX_SCRIPT_CHARS, description="What is spoken in the scene, word for word."
    )
    persona: str | None = Field(
        default=None, max_length=80, description="Who speaks: the name or id of a persona."
    )
    heading: OneLine | None = Field(
        default=None,
        max_length=HEADING_CHARS,
        description="Shown in the picture of the scene; empty for none.",
    )
    background: BackgroundChoice = None
    pace: Pace | None = Field(default=None, description=f"{PACE} Of one scene, or with change of all.")
    to: SceneRef | None = Field(default=None, description="The new place: 1, 2, …, “first” or “last”.")
    before: SceneRef | None = Field(default=None, description="The scene that comes after it.")
    after: SceneRef | None = Field(default=None, description="The scene that comes before it.")
    version: int | None = Field(
        default=None, ge=1, description="The version to go back to; left out, the one kept last."
    )
    quality: Quality | None = Field(default=None, description="One of 360p, 480p, 720p, 1080p, 1440p, 2160p.")
    shape: Shape | None = Field(default=None, description="One of landscape, square, vertical.")
    captions: CaptionChoice | None = Field(default=None, description=CAPTIONS)
    caption_size: CaptionSize | None = Field(default=None, description=f"With change. {CAPTION_SIZE}")
    caption_place: CaptionPlace | None = Field(default=None, description=f"With change. {CAPTION_PLACE}")
    brand: OneLine | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="With change: the brand kit of the project by name or id, or “none”.",
    )
    forever: bool = Field(
        default=False,
        description="With delete: for good and at once, also where it is in the trash already.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for needed in _NEEDS.get(self.action, ()):
            if getattr(self, needed) is None:
                raise ValueError(f"{self.action} needs {needed}")
        changes = _CHANGES.get(self.action)
        if changes and all(getattr(self, one) is None for one in changes):
            raise ValueError(f"{self.action} needs one of {', '.join(changes)}")
        return self


class ProjectEdited(ToolResult):
    """The project afterwards. `version` is the one in which it was kept before; `lost`: something went."""

    project_id: str | None
    project: str
    done: str
    scenes: tuple[SceneLine, ...] = ()
    version: int | None = None
    lost: bool = False
    scene_id: str | None = Field(default=None, description="Of the scene that was added, changed or moved.")
    trashed_project_id: str | None = Field(default=None, description="Of the project that is in the trash.")

    def presentation(self) -> Blocks:
        back = f"Say “Go back to version {self.version} of {self.project}” to have it as it was."
        undo = back if self.lost and self.version is not None and self.project_id is not None else ""
        return page(self.done, undo, scene_list(self.scenes))


async def _planned(context: ToolContext, request: EditProject) -> Plan:
    """Names what is there now, so that an agreement is void when it has changed meanwhile."""
    if request.action == "create":
        persona = persona_named(context, request.persona or "nova")
        return Plan(changes=(change(f"Make a project “{request.title}” with {persona.name}"),))
    project = await _named(context, request)
    where = f"project “{project.title}” ({project.id})"
    scenes = await context.studio.scenes.list(project.id)
    if request.persona is not None:
        persona_named(context, request.persona)
    if request.action in ("add_scene", "move_scene", "duplicate_scene"):
        _place(project, scenes, request)
    if request.brand is not None:
        await _brand(context, request.brand)
    if request.action == "restore":
        await _version(context, project, request)
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


async def _create(context: ToolContext, request: EditProject) -> ProjectEdited:
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


async def _copy(context: ToolContext, request: EditProject) -> ProjectEdited:
    original = await project_named(context, request.project)
    named = ProjectCopy(title=request.title)
    copy = await context.studio.projects.copy(original.id, named, context.principal)
    done = f"The project “{copy.title}” is a copy of “{original.title}”.{await _namesake(context, copy)}"
    return await _edited(context, copy, done)


async def _namesake(context: ToolContext, project: ProjectView) -> str:
    """Returns the sentence that tells a new project from another of its title; empty without one."""
    known = await context.studio.projects.list(MAX_PROJECTS)
    if all(one.title.casefold() != project.title.casefold() or one.id == project.id for one in known):
        return ""
    return f" Another project is called so, too; this one is {project.slug}."


async def _rename(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    saved = await context.studio.versions.keep(project.id, "before it got another name")
    renamed = await context.studio.projects.change(project.id, ProjectChange(title=request.title))
    return await _edited(
        context,
        renamed,
        f"“{project.title}” is called “{renamed.title}” now.",
        version=saved.number,
        shown=False,
    )


async def _change(context: ToolContext, request: EditProject) -> ProjectEdited:
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
        brand = await _brand(context, request.brand)
        fields["brand"] = None if brand is None else brand.id
        parts.append("no brand is used" if brand is None else f"the brand “{brand.name}” is used")
    if request.pace is not None:
        parts.append(f"all scenes are spoken {_SPOKEN[request.pace]}")
    saved = await context.studio.versions.keep(project.id, "before its look was changed")
    changed = await context.studio.projects.change(project.id, ProjectChange(**fields))
    await _change_all(context, project, request)
    done = f"In “{project.title}” {' and '.join(parts)} now."
    return await _edited(context, changed, done, version=saved.number, shown=False)


async def _brand(context: ToolContext, name: str) -> BrandView | None:
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


async def _add_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    scenes = await context.studio.scenes.list(project.id)
    place = _place(project, scenes, request)
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
            overlays=(heading_over(request.heading),) if request.heading else (),
            position=place,
        ),
    )
    edited = await _edited(context, project, f"“{project.title}” has a new scene {created.position + 1}.")
    return edited.model_copy(update={"scene_id": created.id})


async def _change_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
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
    edited = await _edited(context, project, done, version=saved.number)
    return edited.model_copy(update={"scene_id": scene.id})


async def _move_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project, scenes, scene = await _scene(context, request)
    others = [one for one in scenes if one.id != scene.id]
    place = _place(project, scenes, request)
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
    edited = await _edited(context, project, done, version=saved.number)
    return edited.model_copy(update={"scene_id": scene.id})


async def _duplicate_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    """Makes another scene that is the same in all but its id, behind the first one or at the place named."""
    project, scenes, scene = await _scene(context, request)
    is_placed = any((request.to, request.before, request.after))
    place = _place(project, scenes, request) if is_placed else scene.position + 1
    body = {name: getattr(scene, name) for name in SceneDraft.model_fields if name != "position"}
    created = await context.studio.scenes.create(project.id, SceneDraft(**body, position=place))
    original = scene.position + 1 + (created.position <= scene.position)
    done = f"Scene {created.position + 1} of “{project.title}” is a copy of scene {original}."
    edited = await _edited(context, project, done)
    return edited.model_copy(update={"scene_id": created.id})


async def _delete_scene(context: ToolContext, request: EditProject) -> ProjectEdited:
    project, _, scene = await _scene(context, request)
    saved = await context.studio.versions.keep(project.id, "before a scene was deleted")
    await context.studio.scenes.delete(project.id, scene.id)
    done = f"Scene {scene.position + 1} of “{project.title}” is deleted."
    return await _edited(context, project, done, version=saved.number, lost=True)


async def _restore(context: ToolContext, request: EditProject) -> ProjectEdited:
    project = await project_named(context, request.project)
    # Before anything is kept: what is kept would itself be found as the version that was meant.
    version = await _version(context, project, request)
    saved = await context.studio.versions.keep(project.id, "before an earlier version came back")
    restored = await context.studio.versions.restore(project.id, version)
    done = f"“{restored.title}” is as it was in version {version}."
    return await _edited(
        context, restored, done, version=None if saved.number == version else saved.number, lost=True
    )


async def _version(context: ToolContext, project: ProjectView, request: EditProject) -> int:
    """Returns the version that is meant. Raises `project.version_not_found` for one that was not kept."""
    number = request.version
    if number is None:
        number = max((one.number for one in await context.studio.versions.list(project.id)), default=1)
    return (await context.studio.versions.get(project.id, number)).number


async def _delete(context: ToolContext, request: EditProject) -> ProjectEdited:
    services, by = context.services, context.principal.name
    project = await _named(context, request)
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


async def _named(context: ToolContext, request: EditProject) -> ProjectView:
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


_ACTIONS: Mapping[str, Callable[[ToolContext, EditProject], Awaitable[ProjectEdited]]] = MappingProxyType(
    {
        "create": _create,
        "copy": _copy,
        "rename": _rename,
        "change": _change,
        "add_scene": _add_scene,
        "change_scene": _change_scene,
        "move_scene": _move_scene,
        "duplicate_scene": _duplicate_scene,
        "delete_scene": _delete_scene,
        "restore": _restore,
        "delete": _delete,
    }
)


async def _scene(
    context: ToolContext, request: EditProject
) -> tuple[ProjectView, list[SceneView], SceneView]:
    project = await project_named(context, request.project)
    scenes = await context.studio.scenes.list(project.id)
    return project, scenes, scene_named(project, scenes, request.scene or "")


async def _edited(
    context: ToolContext,
    project: ProjectView,
    done: str,
    *,
    version: int | None = None,
    lost: bool = False,
    shown: bool = True,
) -> ProjectEdited:
    scenes = await context.studio.scenes.list(project.id) if shown else []
    return ProjectEdited(
        project_id=project.id,
        project=project.title,
        done=done,
        scenes=scene_lines(context, scenes),
        version=version,
        lost=lost,
    )


def _place(project: ProjectView, scenes: Sequence[SceneView], request: EditProject) -> int | None:
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


def _headings(text: str) -> tuple[TextOverlay, ...]:
    return (heading_over(text),) if text else ()


def _without_heading(overlays: Sequence[Overlay]) -> tuple[Overlay, ...]:
    """Other overlays stay; a heading is the text that stands where headings stand."""
    place = heading_over("x").box
    return tuple(one for one in overlays if not (isinstance(one, TextOverlay) and one.box == place))


def _line(verb: str, scene: SceneView) -> str:
    """A scene in a plan: its number, and by its words which one it is."""
    words = " ".join(without_pace(scene.script).split())[:120] or "no words"
    return f"{verb} scene {scene.position + 1}: {words} ({scene.id})"
