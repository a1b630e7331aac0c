"""All SQL on webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from soundstage.database.repository import Repository
from studio.webhooks.models import Delivery, DeliveryTry, Webhook
from studio.webhooks.states import DeliveryState


class Webhooks(Repository[Webhook]):
    async def list(self) -> Sequence[Webhook]:
        """Newest first."""
        return await self._all(select(Webhook).order_by(Webhook.id.desc()))

    async def active(self) -> Sequence[Webhook]:
        return await self._all(select(Webhook).where(Webhook.active.is_(True)))


class Deliveries(Repository[Delivery]):
    async def list(self, webhook_id: str, before: str | None, limit: int) -> Sequence[Delivery]:
        """Newest first; `before` is the last id of the page before (ids sort by time)."""
        query = select(Delivery).where(Delivery.webhook_id == webhook_id)
        if before is not None:
            query = query.where(Delivery.id < before)
        return await self._all(query.order_by(Delivery.id.desc()).limit(limit))

    async def due(
        self, webhook_id: str, now: datetime, without: Collection[str], limit: int
    ) -> Sequence[str]:
        """Returns pending deliveries of one webhook, the longest due first."""
        return await self._all(
            select(Delivery.id)
            .where(
                Delivery.webhook_id == webhook_id,
                Delivery.state == DeliveryState.PENDING,
                Delivery.next_at <= now,
                Delivery.id.not_in(without),
            )
            .order_by(Delivery.next_at, Delivery.id)
            .limit(limit)
        )

    async def bring_forward(self, by: timedelta) -> None:
        """Shortens all waits."""
        for delivery in await self._all(select(Delivery).where(Delivery.state == DeliveryState.PENDING)):
            delivery.next_at -= by

    async def webhooks_of(self, ids: Collection[str]) -> Sequence[str]:
        """The webhook of each delivery."""
        return await self._all(select(Delivery.webhook_id).where(Delivery.id.in_(ids)))

    async def note(self, entry: DeliveryTry) -> None:
        self._session.add(entry)
        await self._session.flush()

    async def tries_of(self, delivery_ids: Collection[str]) -> Sequence[DeliveryTry]:
        """The oldest first."""
        query = select(DeliveryTry).where(DeliveryTry.delivery_id.in_(delivery_ids))
        return await self._all(query.order_by(DeliveryTry.at, DeliveryTry.id))

    async def remove_ended(self, before: datetime) -> None:
        await self._session.execute(delete(Delivery).where(Delivery.ended_at < before))
