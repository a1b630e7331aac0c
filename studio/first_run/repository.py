"""All SQL on first runs, and on what shows that a step is done."""

from __future__ import annotations

from sqlalchemy import select

from soundstage.database.repository import Repository
from studio.first_run.models import FirstRun
from studio.projects.models import Project
from studio.renders.models import Render
from studio.renders.states import RenderState


class FirstRuns(Repository[FirstRun]):
    async def get(self) -> FirstRun | None:
        """That of the current tenant."""
        return await self._session.scalar(select(FirstRun))

    async def has_project(self) -> bool:
        return await self._session.scalar(select(Project.id).limit(1)) is not None

    async def has_film(self) -> bool:
        query = select(Render.id).where(Render.kind == "video", Render.state == RenderState.DONE).limit(1)
        return await self._session.scalar(query) is not None
