"""Verbs on webhooks; called by the routes. Sending is the sender's work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound, SoundstageError
from soundstage.events import EventStore
from soundstage.http import Destinations, resolve
from soundstage.sealing import Sealer
from soundstage.views import read_view
from studio.webhooks.kinds import TEST, WebhookKind
from studio.webhooks.models import Delivery, DeliveryTry, Webhook
from studio.webhooks.repository import Deliveries, Webhooks
from studio.webhooks.schemas import (
    CreatedWebhook,
    DeliveryDetail,
    DeliveryLog,
    DeliveryView,
    TryView,
    WebhookChange,
    WebhookDraft,
    WebhookView,
)
from studio.webhooks.signing import new_secret
from studio.webhooks.states import DeliveryState, move

OLD_SECRET_SIGNS_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class WebhookService:
    db: Database
    events: EventStore
    sealer: Sealer
    destinations: Destinations
    answer_bodies: bool = False
    wake: Callable[[], None] = lambda: None

    async def all(self) -> list[WebhookView]:
        async with self.db.session() as session:
            return [_view_of(row) for row in await Webhooks(session).list()]

    async def get(self, webhook_id: str) -> WebhookView:
        async with self.db.session() as session:
            return _view_of(await _webhook_of(session, webhook_id))

    async def create(self, draft: WebhookDraft, *, created_by: str) -> CreatedWebhook:
        """It is told of what happens from now on. The secret is in the answer and nowhere else, ever."""
        await self._check_url(draft.url)
        secret = new_secret()
        sealed = self.sealer.seal(secret)
        seen = await self.events.last_id()
        async with self.db.transaction() as session:
            row = Webhook(
                url=draft.url,
                description=draft.description,
                kinds=_sorted(draft.kinds),
                secret_sealed=sealed,
                seen=seen,
                created_by=created_by,
            )
            await Webhooks(session).add(row)
            return CreatedWebhook(**_view_of(row).model_dump(), secret=secret)

    async def change(self, webhook_id: str, change: WebhookChange) -> WebhookView:
        """Switched on again it is told of what happens from then on, and deliveries that waited go out."""
        if change.url is not None:
            await self._check_url(change.url)
        seen = await self.events.last_id()
        async with self.db.transaction() as session:
            row = await _webhook_of(session, webhook_id)
            row.url = change.url or row.url
            row.description = row.description if change.description is None else change.description
            row.kinds = row.kinds if change.kinds is None else _sorted(change.kinds)
            if change.active is not None:
                if change.active and not row.active:
                    row.seen, row.ended_because = seen, ""
                row.active = change.active
            view = _view_of(row)
        self.wake()
        return view

    async def _check_url(self, url: str) -> None:
        """Raises what `resolve` raises, with the field that is to blame."""
        try:
            await resolve(url, self.destinations)
        except SoundstageError as error:
            error.field = "url"
            raise

    async def rotate(self, webhook_id: str) -> CreatedWebhook:
        """A new secret; the old one signs too for a day, so that the receiver can change over in peace."""
        secret = new_secret()
        sealed = self.sealer.seal(secret)
        async with self.db.transaction() as session:
            row = await _webhook_of(session, webhook_id)
            row.old_secret_sealed, row.old_secret_until = row.secret_sealed, utcnow() + OLD_SECRET_SIGNS_FOR
            row.secret_sealed = sealed
            return CreatedWebhook(**_view_of(row).model_dump(), secret=secret)

    async def delete(self, webhook_id: str) -> None:
        """With its log; what was not delivered yet is not delivered any more."""
        async with self.db.transaction() as session:
            await Webhooks(session).delete(await _webhook_of(session, webhook_id))

    async def test(self, webhook_id: str) -> DeliveryView:
        """Sends a message that means nothing, to see whether it arrives."""
        now = utcnow()
        message = {"type": TEST, "timestamp": now.isoformat(), "data": {"webhook": webhook_id}}
        async with self.db.transaction() as session:
            row = await _webhook_of(session, webhook_id)
            if not row.active:
                raise Conflict(
                    "webhook.inactive",
                    "This webhook is switched off.",
                    f"`soundstage webhooks switch {row.id} --on` switches it on.",
                )
            delivery = Delivery(
                webhook_id=row.id, kind=TEST, body=json.dumps(message), state=DeliveryState.PENDING
            )
            await Deliveries(session).add(delivery)
            view = _delivery_view(delivery)
        self.wake()
        return view

    async def deliveries(
        self, webhook_id: str, before: str | None = None, limit: int = 50
    ) -> list[DeliveryLog]:
        """Newest first, with every try of each."""
        async with self.db.session() as session:
            row = await _webhook_of(session, webhook_id)
            found = await Deliveries(session).list(row.id, before, limit)
            tries: dict[str, list[TryView]] = {delivery.id: [] for delivery in found}
            for entry in await Deliveries(session).tries_of(tries):
                tries[entry.delivery_id].append(self._try_view(entry))
            return [
                DeliveryLog(**_delivery_view(delivery).model_dump(), log=tries[delivery.id])
                for delivery in found
            ]

    async def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryDetail:
        """With the body and every try; what receivers said only where the operator allows it, also of old
        tries.
        """
        async with self.db.session() as session:
            row = await _delivery_of(session, webhook_id, delivery_id)
            log = [self._try_view(entry) for entry in await Deliveries(session).tries_of([row.id])]
            return DeliveryDetail(**_delivery_view(row).model_dump(), body=row.body, log=log)

    def _try_view(self, entry: DeliveryTry) -> TryView:
        view = TryView.model_validate(entry, from_attributes=True)
        return view if self.answer_bodies else view.model_copy(update={"answer": ""})

    async def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """The same message once more, under the same id; `webhook.bad_transition` while it is still tried."""
        async with self.db.transaction() as session:
            row = await _delivery_of(session, webhook_id, delivery_id)
            row.state = move(DeliveryState(row.state), DeliveryState.PENDING)
            row.tries, row.next_at, row.ended_at = 0, utcnow(), None
            view = _delivery_view(row)
        self.wake()
        return view


def _sorted(kinds: list[WebhookKind]) -> list[str]:
    return sorted({str(kind) for kind in kinds})


async def _webhook_of(session: AsyncSession, webhook_id: str) -> Webhook:
    missing = NotFound(
        "webhook.not_found",
        f"There is no webhook {webhook_id!r}.",
        "`soundstage webhooks list` lists them.",
    )
    return await Webhooks(session).require(webhook_id, missing)


async def _delivery_of(session: AsyncSession, webhook_id: str, delivery_id: str) -> Delivery:
    row = await Deliveries(session).find(delivery_id)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound(
            "webhook.delivery_not_found",
            f"This webhook has no delivery {delivery_id!r}.",
            "`soundstage webhooks deliveries` lists them; old ones are removed.",
        )
    return row


def _view_of(row: Webhook) -> WebhookView:
    return read_view(WebhookView, row, kinds=[WebhookKind(kind) for kind in row.kinds])


def _delivery_view(row: Delivery) -> DeliveryView:
    state = DeliveryState(row.state)
    return read_view(
        DeliveryView, row, state=state, next_at=row.next_at if state is DeliveryState.PENDING else None
    )
