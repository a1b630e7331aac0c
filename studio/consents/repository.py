"""All SQL on consents."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select

from soundstage.database.repository import Repository
from studio.consents.models import ConsentRow


class Consents(Repository[ConsentRow]):
    async def list(self) -> Sequence[ConsentRow]:
        return await self._all(select(ConsentRow).order_by(ConsentRow.created_at.desc()))

    async def with_ids(self, ids: Collection[str]) -> dict[str, ConsentRow]:
        found = await self._session.scalars(select(ConsentRow).where(ConsentRow.id.in_(ids)))
        return {row.id: row for row in found}

    async def remove(self, ids: Collection[str]) -> None:
        await self._session.execute(delete(ConsentRow).where(ConsentRow.id.in_(ids)))
