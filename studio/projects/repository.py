"""All SQL on projects and their versions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from studio.projects.models import Project, ProjectVersion


class Projects:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, project: Project) -> Project:
        self._session.add(project)
        await self._session.flush()
        return project

    async def find(self, ref: str) -> Project | None:
        """By id or slug."""
        return await self._session.scalar(select(Project).where(or_(Project.id == ref, Project.slug == ref)))

    async def list(self, limit: int) -> Sequence[Project]:
        """Latest change first."""
        found = await self._session.scalars(
            select(Project).order_by(Project.updated_at.desc(), Project.id.desc()).limit(limit)
        )
        return found.all()

    async def slug_taken(self, slug: str) -> bool:
        return await self._session.scalar(select(Project.id).where(Project.slug == slug)) is not None

    async def remove(self, project: Project) -> None:
        await self._session.execute(delete(ProjectVersion).where(ProjectVersion.project_id == project.id))
        await self._session.delete(project)
        await self._session.flush()


class Versions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, version: ProjectVersion) -> ProjectVersion:
        self._session.add(version)
        await self._session.flush()
        return version

    async def list(self, project_id: str) -> Sequence[ProjectVersion]:
        """Newest first."""
        found = await self._session.scalars(
            select(ProjectVersion)
            .where(ProjectVersion.project_id == project_id)
            .order_by(ProjectVersion.number.desc())
        )
        return found.all()

    async def find(self, project_id: str, number: int) -> ProjectVersion | None:
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
