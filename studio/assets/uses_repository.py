"""All SQL on who uses a file: scenes and versions of projects, renders, personas, brands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from studio.brands.models import Brand
from studio.projects.models import Project, ProjectVersion
from studio.references.models import BlobReference
from studio.renders.models import Render
from studio.scenes.models import SceneRow


class Uses:
    """Of one blob. Renders that have made the file do not use it."""

    def __init__(self, session: AsyncSession, sha256: str) -> None:
        self._session = session
        self._sha256 = sha256

    async def projects(self, limit: int) -> Sequence[tuple[Project, Sequence[str], int]]:
        """Projects that use it, with the ids of their scenes and the number of their versions that do, latest
        change first.
        """
        scenes: dict[str, list[str]] = {}
        found = select(SceneRow.project_id, SceneRow.id).where(self._held("scene:", SceneRow.id))
        for project_id, scene_id in await self._session.execute(found.order_by(SceneRow.position)):
            scenes.setdefault(project_id, []).append(scene_id)
        counted = (
            select(ProjectVersion.project_id, func.count())
            .where(self._held("version:", ProjectVersion.id))
            .group_by(ProjectVersion.project_id)
        )
        versions: dict[str, int] = {}
        for project_id, count in await self._session.execute(counted):
            versions[project_id] = count
        used = or_(Project.id.in_(scenes.keys() | versions.keys()), self._held("project:", Project.id))
        query = select(Project).where(used)
        rows = await self._session.scalars(query.order_by(Project.updated_at.desc(), Project.id).limit(limit))
        return [(row, scenes.get(row.id, []), versions.get(row.id, 0)) for row in rows]

    async def renders(self, limit: int) -> tuple[Sequence[Render], int]:
        """The newest ones, and how many there are."""
        where = self._held("render:", Render.id, BlobReference.role.startswith("input:"))
        total = await self._session.scalar(select(func.count(Render.id)).where(where)) or 0
        rows = await self._session.scalars(
            select(Render).where(where).order_by(Render.id.desc()).limit(limit)
        )
        return rows.all(), total

    async def personas(self) -> list[str]:
        owners = await self._session.scalars(
            select(BlobReference.owner)
            .where(BlobReference.sha256 == self._sha256, BlobReference.owner.startswith("persona:"))
            .distinct()
            .order_by(BlobReference.owner)
        )
        return [owner.removeprefix("persona:") for owner in owners]

    async def brands(self) -> list[str]:
        """Names, by the alphabet."""
        rows = await self._session.scalars(
            select(Brand.name).where(self._held("brand:", Brand.id)).order_by(Brand.key)
        )
        return list(rows.all())

    def _held(
        self, prefix: str, id: InstrumentedAttribute[str], *more: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        owners: Select[Any] = select(BlobReference.owner).where(
            BlobReference.sha256 == self._sha256, BlobReference.owner.startswith(prefix), *more
        )
        return (literal(prefix) + id).in_(owners)
