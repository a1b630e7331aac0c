"""Wire types of batches of changes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from studio.projects.schemas import ProjectChange, ProjectView
from studio.scenes.schemas import SceneDraft, SceneView

MAX_CHANGES = 500
SCENE_ID = r"^scn_[0-9a-z]{26}$"


class AddScene(BaseModel, extra="forbid"):
    """With an `id` of the client's own, later changes of the batch may name the scene, and a scene that was
    deleted comes back under the id that it had.
    """

    op: Literal["add_scene"]
    id: str | None = Field(default=None, pattern=SCENE_ID)
    scene: SceneDraft


class ChangeScene(BaseModel, extra="forbid"):
    """Only what is given changes."""

    op: Literal["change_scene"]
    id: str = Field(max_length=64)
    scene: SceneDraft


class MoveScene(BaseModel, extra="forbid"):
    op: Literal["move_scene"]
    id: str = Field(max_length=64)
    position: int = Field(ge=0, le=100_000, description="its place afterwards, from 0")


class DeleteScene(BaseModel, extra="forbid"):
    op: Literal["delete_scene"]
    id: str = Field(max_length=64)


class ChangeProject(BaseModel, extra="forbid"):
    """Only what is given changes."""

    op: Literal["change_project"]
    project: ProjectChange


Change = Annotated[
    AddScene | ChangeScene | MoveScene | DeleteScene | ChangeProject, Field(discriminator="op")
]


class ChangeBatch(BaseModel, extra="forbid"):
    """Changes in their order. `base_revision` is the revision of the project that the client has read."""

    base_revision: int = Field(ge=1, le=2**31 - 1)
    changes: list[Change] = Field(min_length=1, max_length=MAX_CHANGES)


class ProjectState(BaseModel):
    """A project with its scenes in their order, both of one moment."""

    project: ProjectView
    scenes: list[SceneView]


class StaleProblem(BaseModel):
    """The problem document of a batch on an old revision; `current` is the project as it is now."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    current: ProjectState
