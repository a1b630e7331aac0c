"""All SQL of triggers; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update

from agent.triggers.models import Trigger
from agent.triggers.states import OPEN, TriggerState
from soundstage.database.repository import Repository

SHOWN_ENDED = 20


class Triggers(Repository[Trigger]):
    async def get(self, trigger_id: str) -> Trigger | None:
        return await self._session.scalar(select(Trigger).where(Trigger.id == trigger_id))

    async def find_open(self, tenant: str, principal_id: str) -> Sequence[Trigger]:
        """Returns what waits, in the order in which it was set."""
        query = select(Trigger).where(*_owned(tenant, principal_id), Trigger.state.in_(OPEN))
        return await self._all(query.order_by(Trigger.created_at, Trigger.id))

    async def find_ended(self, tenant: str, principal_id: str) -> Sequence[Trigger]:
        """Returns the last ones that have ended, the newest first."""
        query = select(Trigger).where(*_owned(tenant, principal_id), Trigger.state.not_in(OPEN))
        return await self._all(query.order_by(Trigger.created_at.desc()).limit(SHOWN_ENDED))

    async def find_all(self, tenant: str, principal_id: str) -> Sequence[Trigger]:
        return await self._all(select(Trigger).where(*_owned(tenant, principal_id)))

    async def count_open(self, tenant: str, principal_id: str) -> int:
        query = select(func.count(Trigger.id)).where(*_owned(tenant, principal_id), Trigger.state.in_(OPEN))
        return await self._count(query)

    async def due(self, now: datetime, other_than: Collection[str], limit: int) -> Sequence[str]:
        """Returns the ids of those whose time has come, and of claims whose process did not go on."""
        query = select(Trigger.id).where(
            Trigger.id.not_in(other_than),
            or_(
                (Trigger.state == TriggerState.WAITING) & (Trigger.fires_at <= now),
                (Trigger.state == TriggerState.FIRING) & (Trigger.claimed_until <= now),
            ),
        )
        return await self._all(query.order_by(Trigger.fires_at).limit(limit))

    async def waiting_for_events(self) -> Sequence[Trigger]:
        """Returns those that wait for an event now, not for another trigger."""
        query = select(Trigger).where(
            Trigger.state == TriggerState.WAITING, Trigger.fires_at.is_(None), Trigger.after_id.is_(None)
        )
        return await self._all(query.order_by(Trigger.created_at))

    async def claim(self, trigger_id: str, now: datetime, until: datetime) -> int | None:
        """Returns the number of the attempt; None where another process has claimed or cancelled it."""
        query = (
            update(Trigger)
            .where(Trigger.id == trigger_id, Trigger.state == TriggerState.WAITING, Trigger.fires_at <= now)
            .values(state=TriggerState.FIRING, attempts=Trigger.attempts + 1, claimed_until=until)
            .returning(Trigger.attempts)
        )
        attempt: int | None = await self._session.scalar(query)
        return attempt

    async def dependants(self, trigger_id: str) -> Sequence[Trigger]:
        """Returns those that wait for the result of this one."""
        query = select(Trigger).where(Trigger.after_id == trigger_id, Trigger.state == TriggerState.WAITING)
        return await self._all(query)


def _owned(tenant: str, principal_id: str) -> tuple[Any, ...]:
    return (Trigger.tenant == tenant, Trigger.principal_id == principal_id)
