"""Verbs on scenes; each is one transaction. Called by routes, the agent's tools and the CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.views import read_view
from studio.projects.models import Project
from studio.projects.repository import Projects
from studio.projects.service import editable_project, project_of
from studio.projects.versions import snapshot
from studio.references.repository import References
from studio.renders.media import check_media, hashes_in
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.scenes.schemas import SceneBody, SceneDraft, SceneView, is_filled

BODY_FIELDS = frozenset(SceneBody.model_fields)


class SceneService:
    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs

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
            scenes = Scenes(session)
            row = SceneRow(
                project_id=project.id,
                position=0,
                title=draft.title,
                body=draft.model_dump(mode="json", include=set(BODY_FIELDS)),
            )
            others = list(await scenes.of_project(project.id))
            others.insert(len(others) if draft.position is None else draft.position, row)
            _number(others)
            await scenes.add(row)
            await hold_media(References(session), row.id, sizes)
            project.updated_at = utcnow()
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
            return [view_of(row) for row in await append_scenes(session, project, drafts, {})]

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
            # Only the outer fields may be left out: an overlay without its `kind` is none.
            fields = change.model_dump(mode="json", include=change.model_fields_set)
            draft = SceneDraft.model_validate({**row.body, "title": row.title, **fields})
            row.title = draft.title
            row.body = draft.model_dump(mode="json", include=set(BODY_FIELDS))
            held = await References(session).sizes_of(f"scene:{row.id}")
            named = hashes_in(draft)
            await hold_media(
                References(session),
                row.id,
                {sha: size for sha, size in {**held, **sizes}.items() if sha in named},
            )
            if draft.position is not None:
                others = [
                    other for other in await Scenes(session).of_project(project.id) if other.id != row.id
                ]
                others.insert(draft.position, row)
                _number(others)
            row.updated_at = project.updated_at = utcnow()
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
            _number(ordered)
            project.updated_at = utcnow()
            return [view_of(row) for row in ordered]

    async def delete(self, project_ref: str, scene_id: str) -> None:
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            row = await scene_in(session, project, scene_id)
            scenes = Scenes(session)
            await References(session).release(f"scene:{row.id}")
            await scenes.remove(row)
            _number(list(await scenes.of_project(project.id)))
            project.updated_at = utcnow()


async def scene_in(session: AsyncSession, project: Project, scene_id: str) -> SceneRow:
    """Returns a scene of this project, or raises `scene.not_found`."""
    row = await Scenes(session).find(project.id, scene_id)
    if row is None:
        raise NotFound(
            "scene.not_found",
            f"Project {project.slug!r} has no scene {scene_id!r}.",
            "List its scenes to see their ids.",
        )
    return row


async def append_scenes(
    session: AsyncSession, project: Project, drafts: Sequence[SceneDraft], sizes: Mapping[str, int]
) -> Sequence[SceneRow]:
    """Adds scenes behind those of the project; `sizes` are the bytes of the files that they name."""
    scenes, references = Scenes(session), References(session)
    first = len(await scenes.of_project(project.id))
    rows = []
    for position, draft in enumerate(drafts, start=first):
        row = SceneRow(
            project_id=project.id,
            position=position,
            title=draft.title,
            body=draft.model_dump(mode="json", include=set(BODY_FIELDS)),
        )
        rows.append(await scenes.add(row))
        await hold_media(references, row.id, {sha256: sizes[sha256] for sha256 in hashes_in(draft)})
    project.updated_at = utcnow()
    return rows


def view_of(row: SceneRow) -> SceneView:
    return read_view(SceneView, row, **SceneBody.model_validate(row.body).model_dump())


async def hold_media(references: References, scene_id: str, sizes: Mapping[str, int]) -> None:
    """The files of a scene as it is now; those it had before are let go."""
    await references.release(f"scene:{scene_id}")
    for sha256, size in sizes.items():
        await references.hold(f"scene:{scene_id}", "media", sha256, size)


def _number(rows: Sequence[SceneRow]) -> None:
    for position, row in enumerate(rows):
        row.position = position
