"""Turns events into deliveries and sends what is due; the webhooks' worker calls it in one process."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from soundstage.backoff import jitter
from soundstage.database import Database, utcnow
from soundstage.database.tenants import tenant_of
from soundstage.errors import Unavailable
from soundstage.events import Event, EventStore
from soundstage.http import Destinations
from soundstage.sealing import Sealer
from soundstage.telemetry import get_logger, metrics
from soundstage.tracing import span, trace
from studio.webhooks.kinds import kind_of, message_of
from studio.webhooks.models import Delivery, DeliveryTry, Webhook
from studio.webhooks.posting import Posted, post
from studio.webhooks.repository import Deliveries, Webhooks
from studio.webhooks.signing import headers_of
from studio.webhooks.states import DeliveryState, move

PAGE = 500
# A receiver that is slow to answer keeps only so many of us waiting, and never the others.
PER_WEBHOOK = 2
# Enough to see in the log what a receiver complains of.
ANSWER_BYTES = 500
GONE = 410
MINUTE, HOUR = 60.0, 3600.0
# The waits that the specification recommends: about three days in all.
WAITS_S = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
# Many deliveries that failed together shall not come back together.
JITTER = (0.8, 1.2)
LONGEST_RETRY_AFTER_S = 24 * HOUR

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """`answer_bodies`: the beginning of each answer is kept, for the webhook's owner."""

    destinations: Destinations
    timeout_s: float = 15.0
    answer_bodies: bool = False
    keep: timedelta = timedelta(days=30)
    waits_s: tuple[float, ...] = WAITS_S


class WebhookSender:
    def __init__(self, db: Database, events: EventStore, sealer: Sealer, options: SenderOptions) -> None:
        self._db = db
        self._events = events
        self._sealer = sealer
        self._options = options
        self._read_to = 0
        self._swept: datetime | None = None

    async def bring_forward(self, by: timedelta) -> None:
        async with self._db.transaction() as session:
            await Deliveries(session).bring_forward(by)

    async def due(self, without: Collection[str], limit: int) -> Sequence[str]:
        """Ids of deliveries that are due, those of new events included."""
        while await self._fan_out():
            continue
        await self._sweep()
        async with self._db.session() as session:
            deliveries = Deliveries(session)
            busy = Counter(await deliveries.webhooks_of(without))
            found: list[str] = []
            for webhook in await Webhooks(session).active():
                room = min(PER_WEBHOOK - busy[webhook.id], limit - len(found))
                if room > 0:
                    found += await deliveries.due(webhook.id, utcnow(), without, room)
            return found

    async def send(self, delivery_id: str) -> None:
        """One try, written down with what comes of it."""
        async with self._db.session() as session:
            delivery = await Deliveries(session).find(delivery_id)
            webhook = await Webhooks(session).find(delivery.webhook_id) if delivery else None
        if delivery is None or webhook is None or delivery.state != DeliveryState.PENDING:
            return
        now = utcnow()
        about = {"soundstage.webhook.id": webhook.id, "soundstage.delivery.id": delivery_id}
        with trace(_trace_of(delivery), tenant=webhook.tenant), span("deliver webhook", about):
            posted = await self._try(webhook, delivery, now)
        metrics.WEBHOOK_POSTS.inc("ok" if posted.accepted else "failed")
        await self._note(delivery_id, now, posted)

    async def _try(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Posted:
        try:
            secrets = self._secrets(webhook, now)
        except Unavailable as error:
            return Posted(0, error=error.message)
        headers = headers_of(secrets, delivery.id, int(now.timestamp()), delivery.body)
        options = self._options
        return await post(
            webhook.url,
            delivery.body,
            headers,
            destinations=options.destinations,
            timeout_s=options.timeout_s,
            answer_bytes=ANSWER_BYTES if options.answer_bodies else 0,
        )

    async def _fan_out(self) -> bool:
        """Events become deliveries in the transaction that moves `seen` on: none is lost, none is doubled.
        True when there may be more.

        Most events have no receiver, so `seen` is written only with deliveries, or after a whole page;
        what was read in vain is read in vain again after a restart.
        """
        async with self._db.session() as session:
            webhooks = await Webhooks(session).active()
        if not webhooks:
            return False
        start = min(webhook.seen for webhook in webhooks)
        page = await self._events.read(None, max(start, self._read_to), PAGE)
        if not page:
            return False
        deliverable = [(event, kind) for event in page if (kind := kind_of(event)) is not None]
        if deliverable or len(page) == PAGE:
            await self._deliver(deliverable, page[-1].id)
        self._read_to = page[-1].id
        return len(page) == PAGE

    async def _deliver(self, deliverable: Sequence[tuple[Event, str]], last: int) -> None:
        async with self._db.transaction() as session:
            for webhook in await Webhooks(session).active():
                for event, kind in deliverable:
                    if tenant_of(event.data) != webhook.tenant:
                        continue
                    if event.id > webhook.seen and (not webhook.kinds or kind in webhook.kinds):
                        body = json.dumps(message_of(event, kind), ensure_ascii=False, separators=(",", ":"))
                        delivery = Delivery(
                            tenant=webhook.tenant,
                            webhook_id=webhook.id,
                            kind=kind,
                            body=body,
                            state=DeliveryState.PENDING,
                        )
                        await Deliveries(session).add(delivery)
                webhook.seen = max(webhook.seen, last)

    async def _sweep(self) -> None:
        """Old log entries go, once an hour."""
        now = utcnow()
        if self._swept is None or now - self._swept > timedelta(hours=1):
            async with self._db.transaction() as session:
                await Deliveries(session).remove_ended(now - self._options.keep)
            self._swept = now

    def _secrets(self, webhook: Webhook, now: datetime) -> list[str]:
        sealed = [webhook.secret_sealed]
        if webhook.old_secret_sealed and webhook.old_secret_until and webhook.old_secret_until > now:
            sealed.append(webhook.old_secret_sealed)
        return [self._sealer.unseal(one) for one in sealed]

    async def _note(self, delivery_id: str, at: datetime, posted: Posted) -> None:
        async with self._db.transaction() as session:
            deliveries = Deliveries(session)
            delivery = await deliveries.find(delivery_id)
            if delivery is None:
                return
            delivery.tries += 1
            await deliveries.note(
                DeliveryTry(
                    tenant=delivery.tenant,
                    delivery_id=delivery.id,
                    at=at,
                    duration_ms=posted.duration_ms,
                    status=posted.status,
                    answer=posted.answer,
                    error=posted.error,
                )
            )
            if posted.accepted:
                self._end(delivery, DeliveryState.DELIVERED)
            elif posted.status == GONE:
                self._end(delivery, DeliveryState.FAILED)
                webhook = await Webhooks(session).find(delivery.webhook_id)
                if webhook is not None:
                    webhook.active, webhook.ended_because = False, "the receiver answered 410 Gone"
            elif delivery.tries > len(self._options.waits_s):
                self._end(delivery, DeliveryState.FAILED)
                log.warning("webhook.given_up", delivery=delivery.id, webhook=delivery.webhook_id)
            else:
                delivery.next_at = utcnow() + self._wait(delivery.tries, posted.retry_after_s)

    def _end(self, delivery: Delivery, state: DeliveryState) -> None:
        delivery.state = move(DeliveryState(delivery.state), state)
        delivery.ended_at = utcnow()

    def _wait(self, tries: int, requested_s: float | None) -> timedelta:
        planned = self._options.waits_s[tries - 1] * jitter(JITTER)
        return timedelta(seconds=max(planned, min(requested_s or 0.0, LONGEST_RETRY_AFTER_S)))


def _trace_of(delivery: Delivery) -> str | None:
    """Returns the trace of the event that is delivered."""
    found = json.loads(delivery.body).get("data", {}).get("trace_id")
    return found if isinstance(found, str) else None
