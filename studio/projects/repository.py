"""All SQL on projects and their versions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, or_, select

from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, both_ways, contains_words, select_page
from studio.projects.models import Project, ProjectVersion
from studio.tags import has_tags

# What an integer column of PostgreSQL holds; no database compares with a number beyond its own.
MAX_VERSION = 2**31 - 1

ProjectSort = Literal["-updated", "updated", "-created", "created", "title", "-title"]

ORDERS = both_ways(
    updated=Order(Project.id, Project.updated_at, datetime),
    created=Order(Project.id),
    title=Order(Project.id, func.lower(Project.title)),
)


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """Filter of a list of projects. None means all; a project has all of `tags`. `trash`: those in the trash,
    and no others.
    """

    sort: ProjectSort = "-updated"
    q: str | None = None
    persona: str | None = None
    tags: Sequence[str] = ()
    trash: bool = False


class Projects(Repository[Project]):
    async def find(self, ref: str) -> Project | None:
        """By id or slug."""
        return await self._session.scalar(select(Project).where(or_(Project.id == ref, Project.slug == ref)))

    async def titles(self, ids: Collection[str]) -> dict[str, str]:
        """Returns the titles of these projects by id, also of those in the trash."""
        if not ids:
            return {}
        rows = await self._session.execute(select(Project.id, Project.title).where(Project.id.in_(ids)))
        return {row[0]: row[1] for row in rows}

    async def titles_of_copies(self) -> Sequence[str]:
        """Returns the titles that name a copy, also of those in the trash."""
        return await self._all(select(Project.title).where(Project.title.contains(" (copy", autoescape=True)))

    async def page(self, criteria: ProjectFilter, request: PageRequest) -> Page[Project]:
        where = contains_words(
            criteria.q, Project.title, Project.subtitle, Project.slug, Project.description, Project.id
        )
        if criteria.persona is not None:
            where.append(Project.look["persona"].as_string() == criteria.persona)
        where += has_tags(Project.tags, criteria.tags)
        where.append(Project.trashed_at.is_not(None) if criteria.trash else Project.trashed_at.is_(None))
        return await select_page(
            self._session, Project, ORDERS[criteria.sort], request, where=where, scope=asdict(criteria)
        )

    async def with_slug(self, slug: str) -> Project | None:
        return await self._session.scalar(select(Project).where(Project.slug == slug))

    async def slugs_with_brand(self, brand_id: str) -> Sequence[str]:
        """Returns the slugs of projects that use it, without those in the trash."""
        query = select(Project.slug).where(
            Project.look["brand"].as_string() == brand_id, Project.trashed_at.is_(None)
        )
        return await self._all(query.order_by(Project.slug))

    async def list_trashed_before(self, moment: datetime, limit: int) -> Sequence[Project]:
        query = select(Project).where(Project.trashed_at < moment)
        return await self._all(query.order_by(Project.trashed_at).limit(limit))

    async def remove(self, project: Project) -> None:
        await self._session.execute(delete(ProjectVersion).where(ProjectVersion.project_id == project.id))
        await self._session.delete(project)
        await self._session.flush()


class Versions(Repository[ProjectVersion]):
    async def list(self, project_id: str) -> Sequence[ProjectVersion]:
        """Newest first."""
        return await self._all(
            select(ProjectVersion)
            .where(ProjectVersion.project_id == project_id)
            .order_by(ProjectVersion.number.desc())
        )

    async def find_number(self, project_id: str, number: int) -> ProjectVersion | None:
        if number > MAX_VERSION:
            return None
        return await self._session.scalar(
            select(ProjectVersion).where(
                ProjectVersion.project_id == project_id, ProjectVersion.number == number
            )
        )

    async def latest(self, project_id: str) -> ProjectVersion | None:
        newest = select(func.max(ProjectVersion.number)).where(ProjectVersion.project_id == project_id)
        return await self._session.scalar(
            select(ProjectVersion).where(
                ProjectVersion.project_id == project_id, ProjectVersion.number == newest.scalar_subquery()
            )
        )
