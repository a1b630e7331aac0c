"""All SQL on rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.rules.models import RuleRow


class Rules:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list(self) -> Sequence[RuleRow]:
        """By name."""
        return (await self._session.scalars(select(RuleRow).order_by(RuleRow.name))).all()

    async def list_enabled(self) -> Sequence[RuleRow]:
        """By name."""
        query = select(RuleRow).where(RuleRow.enabled.is_(True)).order_by(RuleRow.name)
        return (await self._session.scalars(query)).all()

    async def find(self, name: str) -> RuleRow | None:
        return await self._session.get(RuleRow, name)

    async def add(self, row: RuleRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: RuleRow) -> None:
        await self._session.delete(row)
