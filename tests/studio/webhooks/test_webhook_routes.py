"""The REST doors of webhooks: the secret is shown once, and rights are asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select
from waiting import eventually_async

from soundstage.database import Base
from soundstage.database.tenants import bypass_tenant_filter


async def test_a_webhook_is_made_changed_tested_and_deleted(
    client: httpx.AsyncClient, start: Any, receiver: Any
) -> None:
    created = await client.post("/api/webhooks", json={"url": receiver.url, "kinds": ["render.done"]})
    assert created.status_code == 201, created.text
    webhook = created.json()
    path = f"/api/webhooks/{webhook['id']}"
    assert webhook["secret"].startswith("whsec_")
    shown = (await client.get(path)).json()
    assert "secret" not in shown and shown["kinds"] == ["render.done"]
    assert (await client.get("/api/webhooks")).json() == [shown]
    changed = await client.patch(path, json={"description": "for the team", "kinds": []})
    assert (changed.json()["description"], changed.json()["kinds"]) == ("for the team", [])
    renewed = (await client.post(f"{path}/rotate")).json()["secret"]
    sent = await client.post(f"{path}/test")
    assert (sent.status_code, sent.json()["kind"]) == (202, "webhook.test")
    async with start():
        await eventually_async(lambda: receiver.got)

        async def wait_for_delivery() -> bool:
            return (await client.get(f"{path}/deliveries")).json()[0]["state"] == "delivered"

        await eventually_async(wait_for_delivery)
    assert receiver.got[0].data["type"] == "webhook.test" and receiver.got[0].signed_with(renewed)
    detail = (await client.get(f"{path}/deliveries/{receiver.got[0].id}")).json()
    assert detail["body"] == receiver.got[0].body and detail["log"][0]["status"] == 204
    listed = (await client.get(f"{path}/deliveries")).json()[0]
    assert listed["log"] == detail["log"] and "body" not in listed
    off = await client.patch(path, json={"active": False})
    assert off.status_code == 200
    hint = (await client.post(f"{path}/test")).json()["hint"]
    assert f"soundstage webhooks switch {webhook['id']} --on" in hint
    again = await client.post(f"{path}/deliveries/{receiver.got[0].id}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert (await client.delete(path)).status_code == 204
    for gone in (path, f"{path}/deliveries", f"{path}/deliveries/{receiver.got[0].id}"):
        assert (await client.get(gone)).json()["code"] == "webhook.not_found" or "deliveries/" in gone


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://93.184.215.14/hook", "outgoing.bad_url"),
        ("https://10.1.2.3/hook", "outgoing.address_refused"),
        ("https://169.254.169.254/latest/meta-data", "outgoing.address_refused"),
        ("file:///etc/passwd", "outgoing.bad_url"),
    ],
)
async def test_a_webhook_that_leads_where_it_may_not_is_not_made(
    client: httpx.AsyncClient, url: str, code: str
) -> None:
    answer = await client.post("/api/webhooks", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await client.get("/api/webhooks")).json() == []


async def test_a_webhook_cannot_be_changed_to_lead_there_either(
    client: httpx.AsyncClient, receiver: Any
) -> None:
    created = (await client.post("/api/webhooks", json={"url": receiver.url})).json()
    answer = await client.patch(f"/api/webhooks/{created['id']}", json={"url": "https://10.1.2.3/"})
    assert answer.json()["code"] == "outgoing.address_refused"
    assert (await client.get(f"/api/webhooks/{created['id']}")).json()["url"] == receiver.url


async def test_a_kind_that_does_not_exist_is_refused(client: httpx.AsyncClient, receiver: Any) -> None:
    answer = await client.post("/api/webhooks", json={"url": receiver.url, "kinds": ["render.flies"]})
    assert answer.status_code == 422 and "render.done" in answer.text


async def test_an_editor_may_not_make_one(client: httpx.AsyncClient, receiver: Any) -> None:
    created = await client.post("/api/keys", json={"name": "editor", "role": "editor"})
    bearer = {"Authorization": f"Bearer {created.json()['key']}"}
    answer = await client.post("/api/webhooks", json={"url": receiver.url}, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden")


async def test_secrets_cannot_be_read_in_the_database(
    client: httpx.AsyncClient, receiver: Any, db: Any
) -> None:
    created = (await client.post("/api/webhooks", json={"url": receiver.url})).json()
    with bypass_tenant_filter():
        async with db.session() as session:
            rows = [(await session.execute(select(table))).all() for table in Base.metadata.sorted_tables]
    assert receiver.url in str(rows)
    assert created["secret"][6:] not in str(rows)
