"""All SQL on idempotency keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database.tenants import bypass_tenant_filter
from studio.idempotency.models import IdempotencyKey


class IdempotencyKeys:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, principal: str, operation: str, key: str) -> IdempotencyKey | None:
        return await self._session.get(IdempotencyKey, (principal, operation, key))

    async def add(self, row: IdempotencyKey) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove_of(self, resource_id: str) -> None:
        """The keys of a thing that is not, after all: its request may be sent again."""
        await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.resource_id == resource_id))

    async def remove_expired(self, now: datetime) -> None:
        """Of all tenants: some never come again."""
        with bypass_tenant_filter():
            await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= now))
