"""All SQL on idempotency keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete

from soundstage.database.repository import Repository
from soundstage.database.tenants import bypass_tenant_filter
from studio.idempotency.models import IdempotencyKey


class IdempotencyKeys(Repository[IdempotencyKey]):
    async def find_of(self, principal: str, operation: str, key: str) -> IdempotencyKey | None:
        return await self._session.get(IdempotencyKey, (principal, operation, key))

    async def remove_of(self, resource_id: str) -> None:
        """The keys of a thing that is not, after all: its request may be sent again."""
        await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.resource_id == resource_id))

    async def remove_expired(self, now: datetime) -> None:
        """Of all tenants: some never come again."""
        with bypass_tenant_filter():
            await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= now))
