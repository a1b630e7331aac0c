"""A webhook leads outside: not to us by any way, not to this machine or private networks unless allowed; of
its receiver's answer the owner sees status and time.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from loopback_http import Reply
from raw_http import fixed, raw_server
from waiting import eventually_async

from soundstage.errors import Invalid
from soundstage.http import resolve
from soundstage.settings import Settings
from studio.outgoing import build_outgoing, webhook_destinations
from studio.webhooks.posting import post
from studio.webhooks.schemas import WebhookDraft


def with_webhooks(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update={"webhooks": settings.webhooks.model_copy(update=more)})


async def post_event(url: str, settings: Settings, *, answer_bytes: int = 500, timeout_s: float = 5) -> Any:
    return await post(
        url,
        "{}",
        {},
        destinations=webhook_destinations(settings),
        timeout_s=timeout_s,
        answer_bytes=answer_bytes,
    )


def test_the_settings_open_this_machine_and_private_networks_and_nothing_else_does() -> None:
    """A server that listens to this machine alone is no reason to trust whoever may make a webhook."""
    assert webhook_destinations(Settings()).networks == ()
    opened = Settings.model_validate({"webhooks": {"loopback": True, "private_addresses": True}})
    assert len(webhook_destinations(opened).networks) == 6


async def test_the_address_is_checked_again_at_every_try(settings: Settings) -> None:
    found = await post_event("https://127.0.0.1:9/", with_webhooks(settings, loopback=False))
    assert found.status is None and found.error.startswith("outgoing.address_refused: ")


async def test_what_a_receiver_says_is_not_kept_unless_the_operator_allows_it(settings: Settings) -> None:
    async with raw_server(fixed("HTTP/1.1 200 OK", b"admin_key=secret")) as server:
        quiet = await post_event(server.url, settings, answer_bytes=0)
        reported = await post_event(server.url, settings)
    assert (quiet.status, quiet.answer) == (200, "") and quiet.duration_ms >= 0
    assert reported.answer == "admin_key=secret"


@pytest.fixture
def telling(settings: Settings) -> Settings:
    return with_webhooks(settings, answer_bodies=True)


async def test_an_owner_sees_the_body_of_an_answer_only_while_the_operator_allows_it(
    settings: Settings, telling: Settings, db: Any, events: Any, blobs: Any, receiver: Any
) -> None:
    receiver.answers = [Reply(200, b"inner words")]
    async with build_outgoing(telling, db, events, blobs, poll_s=0.02) as outgoing:
        webhook = await outgoing.webhooks.create(WebhookDraft(url=receiver.url), created_by="a test")
        delivery = await outgoing.webhooks.test(webhook.id)

        async def run_to_end() -> bool:
            return bool((await outgoing.webhooks.delivery(webhook.id, delivery.id)).log)

        await eventually_async(run_to_end)
        shown = (await outgoing.webhooks.delivery(webhook.id, delivery.id)).log[0]
    assert (shown.status, shown.answer) == (200, "inner words")
    quiet = build_outgoing(settings, db, events, blobs)
    hidden = (await quiet.webhooks.delivery(webhook.id, delivery.id)).log[0]
    assert (hidden.status, hidden.answer, hidden.duration_ms) == (200, "", shown.duration_ms)


@pytest.mark.parametrize("answer_bytes", [0, 500])
async def test_an_endless_answer_costs_its_beginning_alone(settings: Settings, answer_bytes: int) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw_server(endless) as server:
        found = await post_event(server.url, settings, answer_bytes=answer_bytes)
    assert (found.status, found.answer) == (200, "x" * answer_bytes)


async def test_a_receiver_that_drips_its_headers_is_given_up_in_time(settings: Settings) -> None:
    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(dripping) as server:
        found = await post_event(server.url, settings, timeout_s=0.3)
    assert found.status is None and found.error.startswith("outgoing.answer_too_slow: ")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("https://127.0.0.1:9/", "`webhooks.loopback`"),
        ("https://10.1.2.3/", "`webhooks.private_addresses`"),
    ],
)
async def test_a_refused_address_names_the_setting_that_allows_it(url: str, hint: str) -> None:
    with pytest.raises(Invalid) as refused:
        await resolve(url, webhook_destinations(Settings()))
    address = url.split("/")[2].partition(":")[0]
    assert hint in refused.value.hint and refused.value.message.count(address) == 1
    with pytest.raises(Invalid) as refused:
        await resolve("https://169.254.169.254/", webhook_destinations(Settings()))
    assert "set" not in refused.value.hint


async def test_plain_http_is_refused_whatever_its_name_means() -> None:
    with pytest.raises(Invalid) as refused:
        await resolve("http://nobody.invalid/hook", webhook_destinations(Settings()))
    assert refused.value.code == "outgoing.bad_url" and "https://" in refused.value.hint
