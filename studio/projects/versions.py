"""Versions of a project: a snapshot with each render, and the way back to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar.spec import RenderSpec, content_hash
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database
from soundstage.errors import NotFound
from soundstage.views import read_view
from studio.projects.journal import ProjectJournal
from studio.projects.models import Project, ProjectVersion
from studio.projects.repository import Projects, Versions
from studio.projects.schemas import Look, ProjectView, VersionDetail, VersionView
from studio.projects.service import editable_project, hold_music, owner_of, project_of, view_of
from studio.references.repository import References
from studio.renders.media import hashes_in
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.scenes.schemas import SceneBody


class VersionService:
    def __init__(self, db: Database, journal: ProjectJournal) -> None:
        self._db = db
        self._journal = journal

    async def list(self, project_ref: str) -> list[VersionView]:
        async with self._db.session() as session:
            project = await project_of(Projects(session), project_ref)
            return [_line(version) for version in await Versions(session).list(project.id)]

    async def get(self, project_ref: str, number: int) -> VersionDetail:
        async with self._db.session() as session:
            project = await project_of(Projects(session), project_ref)
            version = await version_of(session, project, number)
            return VersionDetail(**_line(version).model_dump(), content=version.content, spec=_spec(version))

    async def keep(self, project_ref: str, note: str) -> VersionView:
        """Keeps the project as it is now, before something of it goes."""
        async with self._db.transaction() as session:
            project = await project_of(Projects(session), project_ref)
            return _line(await snapshot(session, project, note=note))

    async def restore(self, project_ref: str, number: int) -> ProjectView:
        """The project becomes what it was; what it is now is kept as a version first."""
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), project_ref)
            version = await version_of(session, project, number)
            await snapshot(session, project, note=f"before going back to version {number}")
            await _apply(session, project, version.content)
            await self._journal.record_change(session, project)
            return view_of(project)


async def snapshot(
    session: AsyncSession,
    project: Project,
    *,
    spec: RenderSpec | None = None,
    note: str = "",
    sizes: dict[str, int] | None = None,
) -> ProjectVersion:
    """Keeps the project as it is. Nothing changed since the last version: that one is returned.

    `sizes` are the blobs of `spec` with their bytes: a version keeps these and the files of the scenes.
    """
    scenes = await Scenes(session).of_project(project.id)
    content = content_of(project, scenes)
    digest = content_hash({"content": content, "spec": spec.model_dump(mode="json") if spec else None})
    versions = Versions(session)
    latest = await versions.latest(project.id)
    if latest is not None and latest.content == content and (spec is None or latest.content_hash == digest):
        return latest
    version = await versions.add(
        ProjectVersion(
            project_id=project.id,
            number=latest.number + 1 if latest else 1,
            content=content,
            content_hash=digest,
            spec=spec.model_dump(mode="json") if spec else None,
            note=note,
        )
    )
    references = References(session)
    held = dict(sizes or {})
    for owner in (owner_of(project), *(f"scene:{scene.id}" for scene in scenes)):
        held |= await references.sizes_of(owner)
    for sha256, size in held.items():
        await references.hold(f"version:{version.id}", "media", sha256, size)
    return version


def content_of(project: Project, scenes: Sequence[SceneRow]) -> dict[str, Any]:
    """Returns what people edited, as JSON."""
    return {
        "title": project.title,
        "subtitle": project.subtitle,
        "description": project.description,
        "look": project.look,
        "scenes": [{"id": scene.id, "title": scene.title, "body": scene.body} for scene in scenes],
    }


async def version_of(session: AsyncSession, project: Project, number: int) -> ProjectVersion:
    version = await Versions(session).find_number(project.id, number)
    if version is None:
        raise NotFound(
            "project.version_not_found",
            f"Project {project.slug!r} has no version {number}.",
            "List its versions to see their numbers.",
        )
    return version


async def _apply(session: AsyncSession, project: Project, content: dict[str, Any]) -> None:
    project.title = content["title"]
    project.subtitle = content["subtitle"]
    project.description = content["description"]
    project.look = Look.model_validate(content["look"]).model_dump(mode="json")
    scenes, references = Scenes(session), References(session)
    sizes = await references.sizes_of(owner_of(project))
    for present in await scenes.of_project(project.id):
        sizes |= await references.sizes_of(f"scene:{present.id}")
        await references.release(f"scene:{present.id}")
    for version in await Versions(session).list(project.id):
        sizes |= await references.sizes_of(f"version:{version.id}")
    await hold_music(session, project, sizes)
    await scenes.remove_all(project.id)
    for position, scene in enumerate(content["scenes"]):
        body = SceneBody.model_validate(scene["body"])
        for sha256 in hashes_in(body) & sizes.keys():
            await references.hold(f"scene:{scene['id']}", "media", sha256, sizes[sha256])
        # The old ids come back too: overlays of other tools and cached segments may refer to them.
        await scenes.add(
            SceneRow(
                id=scene["id"],
                project_id=project.id,
                position=position,
                title=scene["title"],
                body=scene["body"],
            )
        )


def _line(version: ProjectVersion) -> VersionView:
    return read_view(VersionView, version)


def _spec(version: ProjectVersion) -> RenderSpec | None:
    return RenderSpec.model_validate(version.spec) if version.spec is not None else None
