"""Verbs on projects; each is one transaction. Called by routes, the agent's tools and the CLI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count

from sqlalchemy.ext.asyncio import AsyncSession

from policy import Principal
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound
from soundstage.paging import Page, PageRequest
from soundstage.views import read_view
from studio.brands.service import brand_of
from studio.projects.journal import ProjectJournal
from studio.projects.models import Project
from studio.projects.repository import ProjectFilter, Projects, Versions
from studio.projects.schemas import TITLE_CHARS, Look, ProjectChange, ProjectCopy, ProjectDraft, ProjectView
from studio.references.repository import References
from studio.renders.media import check_media, hashes_in
from studio.scenes.editing import hold_media
from studio.scenes.models import SceneRow
from studio.scenes.repository import Scenes
from studio.slugs import slug_of

LOOK_FIELDS = frozenset(Look.model_fields)
_COPY = re.compile(r" \(copy(?: \d+)?\)$")
_COPY_CHARS = len(" (copy 9999)")


class ProjectService:
    def __init__(self, db: Database, blobs: BlobStore, journal: ProjectJournal) -> None:
        self._db = db
        self._blobs = blobs
        self._journal = journal

    async def list(self, limit: int = 200) -> list[ProjectView]:
        """Latest change first, without those in the trash."""
        return (await self.find_page(ProjectFilter(), PageRequest(limit))).items

    async def find_page(self, criteria: ProjectFilter, request: PageRequest) -> Page[ProjectView]:
        async with self._db.session() as session:
            page = await Projects(session).page(criteria, request)
            return page.of([view_of(project) for project in page.items])

    async def get(self, ref: str) -> ProjectView:
        async with self._db.session() as session:
            return view_of(await project_of(Projects(session), ref))

    async def create(self, draft: ProjectDraft) -> ProjectView:
        """Raises `media.not_found` for music that is not here."""
        sizes = await check_media(draft, self._blobs, self._db)
        async with self._db.transaction() as session:
            project = await insert_project(session, draft, sizes)
            await self._journal.record_creation(session, project)
            return view_of(project)

    async def copy(self, ref: str, request: ProjectCopy, principal: Principal) -> ProjectView:
        """Makes another project with its words, looks and scenes. Versions, videos and all that was published
        stay with the first. Raises Conflict `project.in_trash`, and Forbidden without `scene:create`.
        """
        principal.require("scene:create")
        async with self._db.transaction() as session:
            original = await editable_project(Projects(session), ref)
            copy = await insert_copy(session, original, request.title)
            await self._journal.record_copy(session, copy, original, principal.name)
            return view_of(copy)

    async def change(self, ref: str, change: ProjectChange) -> ProjectView:
        """Raises `media.not_found` for music that is not here."""
        sizes = await check_media(change, self._blobs, self._db)
        async with self._db.transaction() as session:
            project = await editable_project(Projects(session), ref)
            await update_project(session, project, change, sizes)
            await self._journal.record_change(session, project)
            return view_of(project)

    async def trash(self, ref: str, *, by: str) -> None:
        """Moves it to the trash, with scenes and versions; nothing happens to one that is there."""
        async with self._db.transaction() as session:
            project = await project_of(Projects(session), ref)
            if project.trashed_at is None:
                project.trashed_at = utcnow()
                await self._journal.record_fate(session, project, "project.trashed", by)

    async def restore(self, ref: str, *, by: str) -> ProjectView:
        """Takes it out of the trash as it was; nothing happens to one that is not there."""
        async with self._db.transaction() as session:
            project = await project_of(Projects(session), ref)
            if project.trashed_at is not None:
                project.trashed_at = None
                await self._journal.record_fate(session, project, "project.restored", by)
            return view_of(project)

    async def delete(self, ref: str, *, by: str = "studio", trashed_before: datetime | None = None) -> None:
        """Scenes and versions go with it; renders and assets stay, for they can stand alone. With
        `trashed_before` nothing happens unless it has been in the trash since then.
        """
        async with self._db.transaction() as session:
            projects = Projects(session)
            project = await project_of(projects, ref)
            since = project.trashed_at
            if trashed_before is not None and (since is None or since >= trashed_before):
                return
            await self._journal.record_fate(session, project, "project.deleted", by)
            references = References(session)
            for version in await Versions(session).list(project.id):
                await references.release(f"version:{version.id}")
            for scene in await Scenes(session).of_project(project.id):
                await references.release(f"scene:{scene.id}")
            await references.release(owner_of(project))
            await projects.remove(project)


async def insert_project(session: AsyncSession, draft: ProjectDraft, sizes: Mapping[str, int]) -> Project:
    """`sizes` are the bytes of its files. Raises Conflict `project.slug_taken` and NotFound
    `brand.not_found`.
    """
    projects = Projects(session)
    slug = draft.slug or await _free_slug(projects, draft.title)
    await _refuse_taken(projects, slug)
    look = draft.model_copy(update={"brand": await _brand_id(session, draft.brand)})
    project = Project(
        slug=slug,
        title=draft.title,
        subtitle=draft.subtitle,
        description=draft.description,
        tags=draft.tags,
        look=look.model_dump(mode="json", include=set(LOOK_FIELDS)),
    )
    await projects.add(project)
    await hold_music(session, project, sizes)
    return project


async def insert_copy(session: AsyncSession, original: Project, title: str | None) -> Project:
    """Adds a project with the content and the scenes of another, which hold the same files."""
    projects, scenes, references = Projects(session), Scenes(session), References(session)
    title = title or _title_of_copy(original.title, await projects.titles_of_copies())
    copy = await projects.add(
        Project(
            slug=await _free_slug(projects, title),
            title=title,
            subtitle=original.subtitle,
            description=original.description,
            tags=original.tags,
            look=original.look,
        )
    )
    await hold_music(session, copy, await references.sizes_of(owner_of(original)))
    for scene in await scenes.of_project(original.id):
        row = SceneRow(project_id=copy.id, position=scene.position, title=scene.title, body=scene.body)
        await scenes.add(row)
        await hold_media(references, row.id, await references.sizes_of(f"scene:{scene.id}"))
    return copy


async def update_project(
    session: AsyncSession, project: Project, change: ProjectChange, sizes: Mapping[str, int]
) -> None:
    """Sets what is given; `sizes` are the bytes of its files. Raises Conflict `project.slug_taken` and
    NotFound `brand.not_found`.
    """
    fields = change.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    if fields.get("slug", project.slug) != project.slug:
        await _refuse_taken(Projects(session), fields["slug"])
    # Null empties these fields, and no others.
    if "brand" in change.model_fields_set:
        fields["brand"] = await _brand_id(session, change.brand)
    if "music" in change.model_fields_set:
        fields.setdefault("music", None)
    look = {**project.look, **{key: value for key, value in fields.items() if key in LOOK_FIELDS}}
    project.look = Look.model_validate(look).model_dump(mode="json")
    for key in fields.keys() - LOOK_FIELDS:
        setattr(project, key, fields[key])
    if "music" in fields:
        await hold_music(session, project, sizes)


async def hold_music(session: AsyncSession, project: Project, sizes: Mapping[str, int]) -> None:
    """Holds the file of the project's music, and lets the one before go."""
    references = References(session)
    await references.release(owner_of(project))
    for sha256 in hashes_in(Look.model_validate(project.look)) & sizes.keys():
        await references.hold(owner_of(project), "media", sha256, sizes[sha256])


def owner_of(project: Project) -> str:
    """Returns who holds the files of a project that are of no scene."""
    return f"project:{project.id}"


async def project_of(projects: Projects, ref: str) -> Project:
    """By id or slug, or `project.not_found`."""
    missing = NotFound(
        "project.not_found",
        f"There is no project {ref!r}.",
        "`soundstage projects list` lists what there is.",
    )
    return await projects.require(ref, missing)


async def editable_project(projects: Projects, ref: str) -> Project:
    """Returns a project that may be changed. Raises NotFound, and Conflict for one in the trash."""
    project = await project_of(projects, ref)
    if project.trashed_at is not None:
        raise Conflict(
            "project.in_trash", f"The project {project.slug!r} is in the trash.", "Restore it first."
        )
    return project


def view_of(project: Project) -> ProjectView:
    return read_view(ProjectView, project, **Look.model_validate(project.look).model_dump())


async def _brand_id(session: AsyncSession, ref: str | None) -> str | None:
    """Returns the id of a brand that is named by id or name. Raises `brand.not_found`."""
    return None if ref is None else (await brand_of(session, ref)).id


async def _refuse_taken(projects: Projects, slug: str) -> None:
    other = await projects.with_slug(slug)
    if other is None:
        return
    where = "" if other.trashed_at is None else " in the trash"
    raise Conflict(
        "project.slug_taken", f"Another project{where} is already called {slug!r}.", "Choose another slug."
    )


def _title_of_copy(title: str, taken: Sequence[str]) -> str:
    """Returns the title with “(copy)” behind it, or with the first number that no other copy has; a copy of a
    copy is one more of the first project.
    """
    name = _COPY.sub("", title)[: TITLE_CHARS - _COPY_CHARS].rstrip()
    others = {one.casefold() for one in taken}
    numbered = (f"{name} (copy{'' if number == 1 else f' {number}'})" for number in count(1))
    return next(one for one in numbered if one.casefold() not in others)


async def _free_slug(projects: Projects, title: str) -> str:
    """The title's slug, or the first of slug-2, slug-3, … that is free."""
    first_choice = slug = slug_of(title, "project")
    number = 1
    while await projects.with_slug(slug) is not None:
        number += 1
        slug = f"{first_choice}-{number}"
    return slug
