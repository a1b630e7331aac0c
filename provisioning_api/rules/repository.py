"""All SQL on rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from provisioning_api.rules.models import RuleRow
from soundstage.database.repository import Repository


class Rules(Repository[RuleRow]):
    async def list(self) -> Sequence[RuleRow]:
        """By name."""
        return await self._all(select(RuleRow).order_by(RuleRow.name))

    async def list_enabled(self) -> Sequence[RuleRow]:
        """By name."""
        query = select(RuleRow).where(RuleRow.enabled.is_(True)).order_by(RuleRow.name)
        return await self._all(query)
