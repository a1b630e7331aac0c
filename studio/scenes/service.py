"""Verbs on scenes; each is one transaction. Called by routes, the agent's tools and the CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Conflict, Invalid
from soundstage.views import read_view
from studio.projects.journal import ProjectJournal
from studio.projects.repository import Projects
from studio.projects.service import editable_project, project_of
from studio.projects.versions import snapshot
from studio.renders.media import check_media
from studio.scenes.editing import (
    append_scenes,
    insert_scene,
    number_scenes,
    remove_scene,
    scene_in,
    update_scene,
)
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.scenes.schemas import SceneBody, SceneDraft, SceneView, is_filled


class SceneService:
    def __init__(self, db: Database, blobs: BlobStore, journal: ProjectJournal) -> None:
        self._db = db
        self._blobs = blobs
        self._journal = journal

    async def list(self, project_ref: str) -> list[SceneView]:
        async with self._db.session() as session:
            project = await project_of(Projects(session), project_ref)
            return [view_of(row) for row in await Scenes(session).of_project(project.id)]

    async def titles(self, project_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Returns the titles of the scenes of some projects, in their order."""
        async with self._db.session() as session:
            found: dict[str, list[str]] = {}
            for project_id, title in await Scenes(session).titles(project_ids):
                found.setdefault(project_id, []).append(title)
            return found

    async def get(self, project_ref: str, scene_id: str) -> SceneView:
        async with self._db.session() as session:
            project = await project_of(Projects(session), project_ref)
            return view_of(await scene_in(session, project, scene_id))

    async def create(self, project_ref: str, draft: SceneDraft) -> SceneView:
        """Its files must be stored already; from now on the scene keeps them."""
        sizes = await check_media(draft, self._blobs, self._db)
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            row = await insert_scene(session, project, draft, sizes)
            await self._journal.record_change(session, project)
            return view_of(row)

    async def fill(self, project_ref: str, drafts: Sequence[SceneDraft]) -> Sequence[SceneView]:
        """All scenes of a project at once, where none of it has any words yet; `scene.not_empty` otherwise.

        Files are not among the drafts: they come with single scenes.
        """
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            scenes = Scenes(session)
            present = [SceneBody.model_validate(row.body) for row in await scenes.of_project(project.id)]
            if any(map(is_filled, present)):
                raise Conflict(
                    "scene.not_empty",
                    f"The project {project.title!r} has words already, and they would be lost.",
                    "Change its scenes one by one, or make another project.",
                )
            # Their titles and looks are edited too, though they have no script yet.
            if present:
                await snapshot(session, project, note="before its empty scenes were filled")
            await scenes.remove_all(project.id)
            rows = await append_scenes(session, project, drafts, {})
            await self._journal.record_change(session, project)
            return [view_of(row) for row in rows]

    async def change(
        self,
        project_ref: str,
        scene_id: str,
        change: SceneDraft,
        *,
        unchanged_since: datetime | None = None,
    ) -> SceneView:
        """The fields that were set in `change` replace the present ones. Raises `scene.changed` where
        the scene is newer than `unchanged_since`.
        """
        sizes = await check_media(change, self._blobs, self._db)
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            row = await scene_in(session, project, scene_id)
            if unchanged_since is not None and row.updated_at > unchanged_since:
                raise Conflict(
                    "scene.changed",
                    "Somebody else has changed this scene meanwhile.",
                    "Read it again, and decide which text stays.",
                )
            await update_scene(session, project, row, change, sizes)
            await self._journal.record_change(session, project)
            return view_of(row)

    async def reorder(self, project_ref: str, order: Sequence[str]) -> Sequence[SceneView]:
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            rows = {row.id: row for row in await Scenes(session).of_project(project.id)}
            if sorted(order) != sorted(rows):
                raise Invalid(
                    "scene.order_incomplete",
                    f"The order must name each of the {len(rows)} scenes of this project once.",
                    "Read the scenes again and send all of their ids.",
                )
            ordered = [rows[scene_id] for scene_id in order]
            number_scenes(ordered)
            await self._journal.record_change(session, project)
            return [view_of(row) for row in ordered]

    async def delete(self, project_ref: str, scene_id: str) -> None:
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            row = await scene_in(session, project, scene_id)
            await remove_scene(session, project, row)
            await self._journal.record_change(session, project)


def view_of(row: SceneRow) -> SceneView:
    return read_view(SceneView, row, **SceneBody.model_validate(row.body).model_dump())
