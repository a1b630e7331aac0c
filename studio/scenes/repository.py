"""All SQL on scenes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from soundstage.database.repository import Repository
from soundstage.database.tenants import bypass_tenant_filter
from studio.scenes.models import SceneRow


class Scenes(Repository[SceneRow]):
    async def of_project(self, project_id: str) -> Sequence[SceneRow]:
        """In their order."""
        return await self._all(
            select(SceneRow)
            .where(SceneRow.project_id == project_id)
            .order_by(SceneRow.position, SceneRow.created_at, SceneRow.id)
        )

    async def titles(self, project_ids: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Returns the project and title of each scene of some projects, in their order."""
        columns = select(SceneRow.project_id, SceneRow.title).where(SceneRow.project_id.in_(project_ids))
        rows = await self._session.execute(
            columns.order_by(SceneRow.position, SceneRow.created_at, SceneRow.id)
        )
        return [(project_id, title) for project_id, title in rows]

    async def speakers(self, project_ids: Sequence[str]) -> Sequence[tuple[str, Sequence[str | None]]]:
        """Returns the project and the personas of each scene of some projects, in their order; None is that
        of the project.
        """
        host, guests = SceneRow.body["persona"].as_string(), SceneRow.body["speakers"]
        columns = select(SceneRow.project_id, host, guests).where(SceneRow.project_id.in_(project_ids))
        rows = await self._session.execute(
            columns.order_by(SceneRow.position, SceneRow.created_at, SceneRow.id)
        )
        return [(row[0], (row[1], *(guest["persona"] for guest in row[2] or ()))) for row in rows]

    async def find_in(self, project_id: str, scene_id: str) -> SceneRow | None:
        return await self._session.scalar(
            select(SceneRow).where(SceneRow.project_id == project_id, SceneRow.id == scene_id)
        )

    async def has_id(self, scene_id: str) -> bool:
        """Returns whether a scene of any tenant has this id: it is the key of the whole table."""
        with bypass_tenant_filter():
            found = await self._session.scalar(select(SceneRow.id).where(SceneRow.id == scene_id))
        return found is not None

    async def remove_all(self, project_id: str) -> None:
        await self._session.execute(delete(SceneRow).where(SceneRow.project_id == project_id))
