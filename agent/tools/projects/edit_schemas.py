"""Says what edit_project is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

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
)
from agent.tools.paces import PACE, Pace
from agent.tools.projects.tools import (
    ProjectRef,
    SceneLine,
    SceneRef,
    scene_lines,
    scene_list,
)
from agent.tools.record import ToolContext, ToolRequest, ToolResult
from agent.tools.renders.lines import LATEST
from agent.tools.sizes import Quality, Shape
from agent.writing.scenes import HEADING_CHARS
from soundstage.one_line import OneLine
from studio.projects.schemas import ProjectView

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


async def describe_edit(
    context: ToolContext,
    project: ProjectView,
    done: str,
    *,
    version: int | None = None,
    lost: bool = False,
    shown: bool = True,
) -> ProjectEdited:
    """Returns what an edit has done, with the scenes afterwards where they are `shown`."""
    scenes = await context.studio.scenes.list(project.id) if shown else []
    return ProjectEdited(
        project_id=project.id,
        project=project.title,
        done=done,
        scenes=scene_lines(context, scenes),
        version=version,
        lost=lost,
    )
