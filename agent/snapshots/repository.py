"""All SQL of snapshots; used by their service only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from agent.sessions.models import AgentSession
from agent.snapshots.models import Continuation, Snapshot
from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, select_page

NEWEST_FIRST = Order(Snapshot.id, Snapshot.saved_at, datetime)


class Snapshots(Repository[Snapshot | Continuation]):
    async def by_name(self, tenant: str, owner_id: str, name_key: str) -> Snapshot | None:
        query = select(Snapshot).where(
            Snapshot.tenant == tenant, Snapshot.owner_id == owner_id, Snapshot.name_key == name_key
        )
        found: Snapshot | None = await self._session.scalar(query)
        return found

    async def of_owner(self, tenant: str, owner_id: str) -> Sequence[Snapshot]:
        """The newest first."""
        query = select(Snapshot).where(Snapshot.tenant == tenant, Snapshot.owner_id == owner_id)
        return await self._all(query.order_by(Snapshot.saved_at.desc()))

    async def page(self, tenant: str, owner_id: str, request: PageRequest) -> Page[Snapshot]:
        """The newest first."""
        where = (Snapshot.tenant == tenant, Snapshot.owner_id == owner_id)
        scope = {"of": [tenant, owner_id]}
        return await select_page(self._session, Snapshot, NEWEST_FIRST, request, where=where, scope=scope)

    async def count(self, tenant: str, owner_id: str) -> int:
        query = select(func.count()).where(Snapshot.tenant == tenant, Snapshot.owner_id == owner_id)
        return await self._count(query)

    async def continuations(self, tenant: str, owner_id: str) -> Sequence[Continuation]:
        """Of all the owner's conversations."""
        query = (
            select(Continuation)
            .join(AgentSession, AgentSession.id == Continuation.session_id)
            .where(AgentSession.tenant == tenant, AgentSession.principal_id == owner_id)
        )
        return await self._all(query)

    async def continuation(self, session_id: str) -> Continuation | None:
        return await self._session.get(Continuation, session_id)
