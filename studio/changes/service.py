"""Carries out batches of changes, each in one transaction; called by the route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncSession

from policy import Principal
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Conflict, SoundstageError
from studio.changes.schemas import (
    AddScene,
    Change,
    ChangeBatch,
    ChangeProject,
    ChangeScene,
    DeleteScene,
    MoveScene,
    ProjectState,
)
from studio.idempotency.service import Claim
from studio.projects.journal import ProjectJournal
from studio.projects.models import Project
from studio.projects.repository import Projects
from studio.projects.service import editable_project, project_of, update_project
from studio.projects.service import view_of as project_view
from studio.renders.media import check_media, hashes_in
from studio.scenes.editing import insert_scene, move_scene, remove_scene, scene_in, update_scene
from studio.scenes.repository import Scenes
from studio.scenes.service import view_of as scene_view

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "add_scene": "scene:create",
        "change_scene": "scene:update",
        "move_scene": "scene:update",
        "delete_scene": "scene:delete",
        "change_project": "project:update",
    }
)


class StaleRevision(Conflict):
    """The project has changed since the revision that the batch names; `current` is what it is now."""

    def __init__(self, *, refusal: Conflict, current: ProjectState) -> None:
        super().__init__(refusal.code, refusal.message, refusal.hint)
        self.current = current


@dataclass(frozen=True, slots=True)
class ChangeService:
    db: Database
    blobs: BlobStore
    journal: ProjectJournal

    async def state(self, ref: str) -> ProjectState:
        """Returns project and scenes of one moment."""
        async with self.db.session() as session:
            return await _state(session, await project_of(Projects(session), ref))

    async def apply(
        self, ref: str, batch: ChangeBatch, principal: Principal, claim: Claim | None = None
    ) -> ProjectState:
        """All changes or none, as one revision. Raises StaleRevision, Forbidden for a change that the
        principal may not make, and what the single change would, with its place in the batch.
        """
        for change in batch.changes:
            principal.require(PERMISSIONS[change.op])
        sizes = await check_media(batch, self.blobs, self.db)
        async with self.db.transaction() as session:
            project = await editable_project(Projects(session), ref)
            if claim is not None:
                await claim(session, project.id)
            if project.revision != batch.base_revision:
                refusal = Conflict(
                    "project.changed",
                    f"The project is at revision {project.revision}, these changes at {batch.base_revision}.",
                    "Put the changes on the `current` state, and send them with its revision.",
                )
                raise StaleRevision(refusal=refusal, current=await _state(session, project))
            for number, change in enumerate(batch.changes):
                try:
                    await _carry_out(session, project, change, sizes)
                except SoundstageError as error:
                    message = f"changes[{number}]: {error.message}"
                    raise type(error)(error.code, message, error.hint, error.status) from error
            await self.journal.record_change(session, project)
            return await _state(session, project)


async def _carry_out(
    session: AsyncSession, project: Project, change: Change, sizes: Mapping[str, int]
) -> None:
    match change:
        case AddScene():
            own = {sha: sizes[sha] for sha in hashes_in(change.scene)}
            await insert_scene(session, project, change.scene, own, change.id)
        case ChangeScene():
            row = await scene_in(session, project, change.id)
            own = {sha: sizes[sha] for sha in hashes_in(change.scene)}
            await update_scene(session, project, row, change.scene, own)
        case MoveScene():
            await move_scene(session, project, await scene_in(session, project, change.id), change.position)
        case DeleteScene():
            await remove_scene(session, project, await scene_in(session, project, change.id))
        case ChangeProject():
            await update_project(session, project, change.project, sizes)


async def _state(session: AsyncSession, project: Project) -> ProjectState:
    rows = await Scenes(session).of_project(project.id)
    return ProjectState(project=project_view(project), scenes=[scene_view(row) for row in rows])
