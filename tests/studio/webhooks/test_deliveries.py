"""What happens is told, signed, once more when it did not arrive, and to nobody who should not hear it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from loopback_http import Reply, serving
from metric_values import metric_value, read_state
from set_clocks import SetClock
from sqlalchemy import update
from waiting import eventually_async

from soundstage.database import utcnow
from soundstage.errors import Conflict
from soundstage.telemetry import Metrics
from studio.state_metrics import read_studio_state
from studio.webhooks.kinds import WebhookKind
from studio.webhooks.models import Delivery, Webhook
from studio.webhooks.schemas import WebhookChange, WebhookDraft
from studio.webhooks.sender import PER_WEBHOOK
from studio.webhooks.signing import headers_of, signature


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of github.com/standard-webhooks/standard-webhooks, computed by its own libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    both = headers_of([secret, secret], "msg_1", 1, "{}")
    assert both["webhook-signature"].count("v1,") == 2


async def test_what_happens_is_told_and_signed(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any, db: Any
) -> None:
    await happen("running", "done")
    await eventually_async(lambda: len(receiver.got) == 2)
    first, second = sorted(receiver.got, key=lambda got: got.data["data"]["event_id"])
    assert [first.data["type"], second.data["type"]] == ["render.running", "render.done"]
    assert second.data["data"]["title"] == "Grüße" and second.data["data"]["trace_id"] == "1" * 32
    assert second.signed_with(webhook.secret) and not second.signed_with("whsec_AAAA")
    assert abs(second.timestamp - time.time()) < 30
    assert second.headers["content-type"] == "application/json"
    assert second.headers["host"] == receiver.url.split("/")[2]

    async def wait_for_delivery() -> bool:
        log = await outgoing.webhooks.deliveries(webhook.id)
        return [one.state for one in log] == ["delivered", "delivered"]

    await eventually_async(wait_for_delivery)
    assert metric_value("webhook_posts", result="ok") == 2
    shown = Metrics()
    read_studio_state(shown, db)
    assert await read_state(shown, "webhook_deliveries", state="delivered") == 2


async def test_only_the_kinds_that_were_asked_for_are_told(outgoing: Any, receiver: Any, happen: Any) -> None:
    await happen("queued")
    draft = WebhookDraft(url=receiver.url, kinds=[WebhookKind.RENDER_DONE])
    await outgoing.webhooks.create(draft, created_by="a test")
    await happen("running", "failed")
    await happen("", kind="render.progress")
    await happen("", kind="key.created")
    await happen("done")
    await eventually_async(lambda: receiver.got)
    await asyncio.sleep(0.1)
    assert [got.data["type"] for got in receiver.got] == ["render.done"]


async def test_what_did_not_arrive_is_sent_again_with_the_same_id_and_written_down(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any
) -> None:
    receiver.answers = [Reply(500, b"so sorry\x00"), None]
    await happen("done")
    await eventually_async(lambda: len(receiver.got) == 3)
    assert len({got.id for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    (delivery,) = await outgoing.webhooks.deliveries(webhook.id)

    async def run_to_end() -> bool:
        return bool((await outgoing.webhooks.delivery(webhook.id, delivery.id)).ended_at)

    await eventually_async(run_to_end)
    detail = await outgoing.webhooks.delivery(webhook.id, delivery.id)
    assert (detail.state, detail.tries) == ("delivered", 3)
    assert [entry.status for entry in detail.log] == [500, None, 204]
    assert detail.log[0].answer == "" and detail.log[1].error
    assert webhook.secret not in str(detail)


async def test_a_receiver_that_never_answers_well_is_given_up_and_can_be_asked_once_more(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any
) -> None:
    receiver.answers = [Reply(503)] * 4
    await happen("done")

    async def state() -> str:
        return str([one.state.value for one in await outgoing.webhooks.deliveries(webhook.id)])

    async def fail_render() -> bool:
        return await state() == "['failed']"

    await eventually_async(fail_render)
    assert len(receiver.got) == 4
    (delivery,) = await outgoing.webhooks.deliveries(webhook.id)
    await outgoing.webhooks.redeliver(webhook.id, delivery.id)
    await eventually_async(lambda: len(receiver.got) == 5)
    assert receiver.got[4].id == receiver.got[0].id

    async def wait_for_delivery() -> bool:
        return await state() == "['delivered']"

    await eventually_async(wait_for_delivery)


async def test_a_delivery_that_is_still_tried_is_not_sent_twice_at_once(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any
) -> None:
    receiver.answers = [Reply(503, b"", {"retry-after": "60"})]
    await happen("done")
    await eventually_async(lambda: receiver.got)
    (delivery,) = await outgoing.webhooks.deliveries(webhook.id)
    with pytest.raises(Conflict) as error:
        await outgoing.webhooks.redeliver(webhook.id, delivery.id)
    assert error.value.code == "webhook.bad_transition"


async def test_retry_after_is_honoured(webhook: Any, receiver: Any, happen: Any, outgoing: Any) -> None:
    receiver.answers = [Reply(429, b"", {"retry-after": "120"})]
    await happen("done")

    async def waits() -> bool:
        found = await outgoing.webhooks.deliveries(webhook.id)
        return bool(found and found[0].tries and found[0].next_at > utcnow() + timedelta(seconds=100))

    await eventually_async(waits)


async def test_a_delivery_does_not_wait_longer_because_the_clock_was_set_back(
    start: Any, receiver: Any, happen: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock()
    monkeypatch.setattr("soundstage.background.ClockWatch", clock.watch)
    receiver.answers = [Reply(429, b"", {"retry-after": "120"})]
    async with start() as outgoing:
        webhook = await outgoing.webhooks.create(WebhookDraft(url=receiver.url), created_by="a test")
        await happen("done")

        async def waits() -> bool:
            found = await outgoing.webhooks.deliveries(webhook.id)
            return bool(found and found[0].tries)

        await eventually_async(waits)
        async with db.transaction() as session:
            # Due in this moment, by the clock as it was.
            await session.execute(update(Delivery).values(next_at=utcnow() + timedelta(hours=1)))
        clock.back_s = 3600.0
        await eventually_async(lambda: len(receiver.got) == 2)


async def test_gone_switches_the_webhook_off_and_on_again_it_hears_only_what_is_new(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any
) -> None:
    receiver.answers = [Reply(410)]
    await happen("running")

    async def off() -> bool:
        return not (await outgoing.webhooks.get(webhook.id)).active

    await eventually_async(off)
    assert "410" in (await outgoing.webhooks.get(webhook.id)).ended_because
    with pytest.raises(Conflict):
        await outgoing.webhooks.test(webhook.id)
    await happen("failed")
    await outgoing.webhooks.change(webhook.id, WebhookChange(active=True))
    await happen("done")
    await eventually_async(lambda: len(receiver.got) == 2)
    assert receiver.got[1].data["type"] == "render.done"


async def test_a_redirect_is_not_followed(webhook: Any, receiver: Any, happen: Any, outgoing: Any) -> None:
    receiver.answers = [Reply(302, b"", {"location": receiver.url})]
    await happen("done")
    await eventually_async(lambda: len(receiver.got) == 2)
    (delivery,) = await outgoing.webhooks.deliveries(webhook.id)
    assert (await outgoing.webhooks.delivery(webhook.id, delivery.id)).log[0].status == 302


async def test_a_slow_receiver_does_not_keep_the_others_waiting(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any
) -> None:
    receiver.answers = [3600.0] * 50
    await happen(*["done"] * 50)
    await eventually_async(lambda: len(receiver.got) >= 2)
    quick = type(receiver)()
    async with serving(quick) as url:
        await outgoing.webhooks.create(WebhookDraft(url=url), created_by="a test")
        await happen("failed")
        await eventually_async(lambda: quick.got, within_s=30)
    assert len(receiver.got) <= PER_WEBHOOK


async def test_a_restart_loses_nothing_and_doubles_nothing(start: Any, receiver: Any, happen: Any) -> None:
    async with start() as before:
        webhook = await before.webhooks.create(WebhookDraft(url=receiver.url), created_by="a test")
        receiver.answers = [Reply(503, b"", {"retry-after": "1"})]
        await happen("running")
        await eventually_async(lambda: receiver.got)
    await happen("done")
    async with start() as after:
        await eventually_async(lambda: len(receiver.got) == 3)
        await asyncio.sleep(0.1)
        log = await after.webhooks.deliveries(webhook.id)
    assert len(receiver.got) == 3 and len(log) == 2
    assert sorted(got.data["type"] for got in receiver.got) == [
        "render.done",
        "render.running",
        "render.running",
    ]
    assert all(got.signed_with(webhook.secret) for got in receiver.got)


async def test_a_new_secret_signs_at_once_and_the_old_one_for_a_day(
    webhook: Any, receiver: Any, happen: Any, outgoing: Any, db: Any
) -> None:
    renewed = await outgoing.webhooks.rotate(webhook.id)
    await happen("running")
    await eventually_async(lambda: len(receiver.got) == 1)
    assert receiver.got[0].signed_with(renewed.secret) and receiver.got[0].signed_with(webhook.secret)
    async with db.transaction() as session:
        await session.execute(update(Webhook).values(old_secret_until=utcnow()))
    await happen("done")
    await eventually_async(lambda: len(receiver.got) == 2)
    assert receiver.got[1].signed_with(renewed.secret) and not receiver.got[1].signed_with(webhook.secret)


async def test_the_log_is_kept_for_its_days(start: Any, receiver: Any, happen: Any, db: Any) -> None:
    async with start() as before:
        webhook = await before.webhooks.create(WebhookDraft(url=receiver.url), created_by="a test")
        await happen("running", "done")

        async def both() -> bool:
            log = await before.webhooks.deliveries(webhook.id)
            return len(log) == 2 and all(one.ended_at for one in log)

        await eventually_async(both)
        (newest, oldest) = await before.webhooks.deliveries(webhook.id)
    async with db.transaction() as session:
        old = utcnow() - timedelta(days=31)
        await session.execute(update(Delivery).where(Delivery.id == oldest.id).values(ended_at=old))
    async with start() as after:

        async def sweep_once() -> bool:
            return [one.id for one in await after.webhooks.deliveries(webhook.id)] == [newest.id]

        await eventually_async(sweep_once)
