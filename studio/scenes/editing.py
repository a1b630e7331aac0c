"""Edits of scenes inside the transaction of a caller, who looks after the project; for single requests and
for batches of changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import utcnow
from soundstage.errors import Conflict, NotFound
from studio.projects.models import Project
from studio.references.repository import References
from studio.renders.media import hashes_in
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.scenes.schemas import SceneBody, SceneDraft

BODY_FIELDS = frozenset(SceneBody.model_fields)


async def scene_in(session: AsyncSession, project: Project, scene_id: str) -> SceneRow:
    """Returns a scene of this project, or raises `scene.not_found`."""
    row = await Scenes(session).find_in(project.id, scene_id)
    if row is None:
        raise scene_not_found(project.slug, scene_id)
    return row


def scene_not_found(project: str, scene_id: str) -> NotFound:
    """Returns the error for a scene that a project does not have."""
    return NotFound(
        "scene.not_found",
        f"Project {project!r} has no scene {scene_id!r}.",
        "List its scenes to see their ids.",
    )


async def insert_scene(
    session: AsyncSession,
    project: Project,
    draft: SceneDraft,
    sizes: Mapping[str, int],
    scene_id: str | None = None,
) -> SceneRow:
    """Adds a scene at its position, or last; `sizes` are the bytes of its files. Raises Conflict
    `scene.id_taken`.
    """
    scenes = Scenes(session)
    if scene_id is not None and await scenes.has_id(scene_id):
        raise Conflict(
            "scene.id_taken", f"There is a scene {scene_id!r} already.", "Choose another id, or leave it out."
        )
    named = {} if scene_id is None else {"id": scene_id}
    row = SceneRow(
        **named,
        project_id=project.id,
        position=0,
        title=draft.title,
        body=draft.model_dump(mode="json", include=set(BODY_FIELDS)),
    )
    others = list(await scenes.of_project(project.id))
    others.insert(len(others) if draft.position is None else min(draft.position, len(others)), row)
    number_scenes(others)
    await scenes.add(row)
    await hold_media(References(session), row.id, sizes)
    return row


async def update_scene(
    session: AsyncSession, project: Project, row: SceneRow, change: SceneDraft, sizes: Mapping[str, int]
) -> None:
    """The fields that were set in `change` replace the present ones; `sizes` are the bytes of its files."""
    # Only the outer fields may be left out: an overlay without its `kind` is none.
    fields = change.model_dump(mode="json", include=change.model_fields_set)
    draft = SceneDraft.model_validate({**row.body, "title": row.title, **fields})
    row.title = draft.title
    row.body = draft.model_dump(mode="json", include=set(BODY_FIELDS))
    references = References(session)
    held = {**await references.sizes_of(f"scene:{row.id}"), **sizes}
    named = hashes_in(draft)
    await hold_media(references, row.id, {sha: size for sha, size in held.items() if sha in named})
    if draft.position is not None:
        await move_scene(session, project, row, draft.position)
    row.updated_at = utcnow()


async def move_scene(session: AsyncSession, project: Project, row: SceneRow, position: int) -> None:
    """Moves it to a place among the others; one behind the last is the last."""
    others = [other for other in await Scenes(session).of_project(project.id) if other.id != row.id]
    others.insert(min(position, len(others)), row)
    number_scenes(others)


async def remove_scene(session: AsyncSession, project: Project, row: SceneRow) -> None:
    """Deletes it, and lets its files go."""
    scenes = Scenes(session)
    await References(session).release(f"scene:{row.id}")
    await scenes.delete(row)
    number_scenes(await scenes.of_project(project.id))


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
    return rows


async def hold_media(references: References, scene_id: str, sizes: Mapping[str, int]) -> None:
    """The files of a scene as it is now; those it had before are let go."""
    await references.release(f"scene:{scene_id}")
    for sha256, size in sizes.items():
        await references.hold(f"scene:{scene_id}", "media", sha256, size)


def number_scenes(rows: Sequence[SceneRow]) -> None:
    """Gives each its place in this order."""
    for position, row in enumerate(rows):
        row.position = position
