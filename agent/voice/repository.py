"""All SQL of broadcasts; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select, update

from agent.voice.models import BroadcastRow
from soundstage.database import lease_end
from soundstage.database.repository import Repository
from soundstage.database.server_time import server_time


class StoredBroadcasts(Repository[BroadcastRow]):
    async def list(self) -> Sequence[BroadcastRow]:
        """Returns those of the current tenant, the latest first."""
        return await self._all(select(BroadcastRow).order_by(BroadcastRow.created_at.desc()))

    async def has_target(self, target: str) -> bool:
        """Returns whether a presenter is broadcast there."""
        found = await self._session.scalar(select(BroadcastRow.id).where(BroadcastRow.target == target))
        return found is not None

    async def renew(self, server: str, lease_s: float) -> Sequence[BroadcastRow]:
        """Prolongs the leases of a server. Returns its broadcasts."""
        return await self._all(
            update(BroadcastRow)
            .where(BroadcastRow.server == server)
            .values(claimed_until=lease_end(lease_s))
            .returning(BroadcastRow)
        )

    async def claim_ended(self, server: str, lease_s: float) -> Sequence[BroadcastRow]:
        """Takes over the broadcasts whose server has stopped."""
        return await self._all(
            update(BroadcastRow)
            .where(BroadcastRow.claimed_until < server_time())
            .values(server=server, claimed_until=lease_end(lease_s))
            .returning(BroadcastRow)
        )

    async def release(self, server: str) -> None:
        """Ends the leases of a server that stops."""
        query = update(BroadcastRow).where(BroadcastRow.server == server)
        await self._session.execute(query.values(claimed_until=server_time()))

    async def remove(self, ids: Collection[str]) -> None:
        """Deletes broadcasts that have ended."""
        await self._session.execute(delete(BroadcastRow).where(BroadcastRow.id.in_(ids)))
