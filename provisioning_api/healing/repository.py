"""All SQL on healing."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from provisioning_api.healing.models import HealingAction, HealingCase
from provisioning_api.healing.states import OPEN, HealingState
from soundstage.database.repository import Repository

RESTART, REINSTALL = "restart", "reinstall"


class HealingCases(Repository[HealingCase]):
    async def list(
        self, states: Collection[HealingState] = OPEN, limit: int | None = None
    ) -> Sequence[HealingCase]:
        """Newest first."""
        query = select(HealingCase).where(HealingCase.state.in_(states)).order_by(HealingCase.id.desc())
        return await self._all(query.limit(limit))

    async def of_machine(self, machine_id: str, limit: int) -> Sequence[HealingCase]:
        """Newest first."""
        query = select(HealingCase).where(HealingCase.machine_id == machine_id)
        return await self._all(query.order_by(HealingCase.id.desc()).limit(limit))

    async def open_of(self, machine_id: str) -> HealingCase | None:
        query = select(HealingCase).where(HealingCase.machine_id == machine_id, HealingCase.state.in_(OPEN))
        return await self._session.scalar(query)

    async def bring_forward(self, by: timedelta) -> None:
        """Shortens the waits of open cases, and what was measured so far goes on."""
        for case in await self._all(select(HealingCase).where(HealingCase.state.in_(OPEN))):
            case.next_at -= by
            case.since -= by

    async def due(self, now: datetime, busy: Collection[str], limit: int) -> Sequence[str]:
        """Returns ids, the longest due first."""
        query = select(HealingCase.id).where(
            HealingCase.state.in_(OPEN), HealingCase.next_at <= now, HealingCase.id.not_in(busy)
        )
        return await self._all(query.order_by(HealingCase.next_at).limit(limit))


class HealingActions(Repository[HealingAction]):
    async def count(self, kind: str, since: datetime, machine_id: str | None = None) -> int:
        """Counts actions of one machine, or of all."""
        query = select(func.count()).where(HealingAction.kind == kind, HealingAction.at >= since)
        if machine_id is not None:
            query = query.where(HealingAction.machine_id == machine_id)
        return await self._count(query)

    async def of_cases(self, case_ids: Collection[str]) -> builtins.list[HealingAction]:
        """The oldest first."""
        query = select(HealingAction).where(HealingAction.case_id.in_(case_ids)).order_by(HealingAction.id)
        return builtins.list(await self._all(query))
