"""Keys of tenants: who may make, see and end them, and what a tenant's state does to their requests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from policy import Policy, Principal
from policy.decisions.bundle import Bundle, load_bundle
from policy.decisions.decider import Decider
from policy.decisions.embedded import EmbeddedEngine
from policy.keys.schemas import CreatedKey, KeyRequest
from soundstage.errors import Forbidden, NotFound

pytestmark = pytest.mark.each_database

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]
OPERATOR = Principal.local_admin()
ACME = Principal(id="key_a", name="Ada", role="admin", kind="key", tenant="acme")
A2A = replace(ACME, id="key_b", role="a2a-admin", tenant="default")


async def create(policy: Policy, by: Principal, **request: Any) -> CreatedKey:
    async with policy.db.transaction() as session:
        return await policy.keys.create(session, KeyRequest(name="a test", **request), by)


async def test_the_operator_names_a_tenant_and_others_make_keys_of_their_own(policy: Policy) -> None:
    assert (await create(policy, OPERATOR)).tenant == "default"
    assert (await create(policy, OPERATOR, tenant="acme", role="admin")).tenant == "acme"
    assert (await create(policy, ACME)).tenant == "acme"
    assert (await create(policy, ACME, tenant="acme", role="admin")).tenant == "acme"


@pytest.mark.parametrize(
    ("by", "tenant"), [(ACME, "default"), (ACME, "rival"), (A2A, "acme"), (replace(ACME, role="viewer"), "x")]
)
async def test_nobody_else_makes_a_key_of_another_tenant(policy: Policy, by: Principal, tenant: str) -> None:
    with pytest.raises(Forbidden) as refused:
        await create(policy, by, tenant=tenant)
    assert refused.value.code == "key.other_tenant"


async def test_keys_of_another_tenant_are_not_there(policy: Policy) -> None:
    ours, theirs = await create(policy, OPERATOR), await create(policy, OPERATOR, tenant="acme")
    keys = policy.keys
    async with policy.db.transaction() as session:
        assert [key.id for key in await keys.list(session, ACME)] == [theirs.id]
        assert {key.id for key in await keys.list(session, OPERATOR)} == {ours.id, theirs.id}
        assert {key.id for key in await keys.list(session, A2A)} == {ours.id}
        for attempt in (keys.get, keys.rotate, keys.revoke):
            with pytest.raises(NotFound):
                await attempt(session, ours.id, ACME)
            with pytest.raises(NotFound):
                await attempt(session, theirs.id, A2A)
        rotated = await keys.rotate(session, theirs.id, OPERATOR)
        assert rotated.tenant == "acme", "whoever rotates it, it stays its tenant's"


async def test_a_login_is_of_the_tenant_of_its_key(client: Client, policy: Policy) -> None:
    created = await create(policy, OPERATOR, tenant="acme", role="admin")
    async with client() as http:
        answer = (await http.post("/api/login", json={"key": created.key})).json()
        me = (await http.get("/api/me")).json()
    assert answer["tenant"] == me["tenant"] == "acme" and me["kind"] == "session"
    assert "render:create" in me["permissions"] and "machine:read" not in me["permissions"]


async def test_a_key_of_a_tenant_is_made_by_a_request(client: Client, policy: Policy) -> None:
    operator, acme = (
        await create(policy, OPERATOR, role="admin"),
        await create(policy, OPERATOR, tenant="acme", role="admin"),
    )
    async with client(key=operator.key) as http:
        created = await http.post("/api/keys", json={"name": "x", "tenant": "rival"})
        assert (created.status_code, created.json()["tenant"]) == (201, "rival")
        for bad in ("", "Rival", "../x", "a b", "x" * 64, "-a"):
            assert (await http.post("/api/keys", json={"name": "x", "tenant": bad})).status_code == 422
    async with client(key=acme.key) as http:
        refused = await http.post("/api/keys", json={"name": "x", "tenant": "rival"})
        assert (refused.status_code, refused.json()["code"]) == (403, "key.other_tenant")
        assert [key["tenant"] for key in (await http.get("/api/keys")).json()] == ["acme"]
        gone = await http.delete(f"/api/keys/{operator.id}")
        assert (gone.status_code, gone.json()["code"]) == (404, "key.not_found")


@pytest.mark.parametrize(
    ("state", "reads", "writes"), [("active", 200, 200), ("read_only", 200, 403), ("suspended", 403, 403)]
)
async def test_the_state_of_a_tenant_counts_for_its_requests(
    client: Client, policy: Policy, state: str, reads: int, writes: int
) -> None:
    data = json.loads(json.dumps(dict(load_bundle().data)))
    data["tenants"]["acme"] = {"state": state}
    policy.decider = Decider(EmbeddedEngine(Bundle.of(dict(load_bundle().modules), data)))
    created = await create(policy, OPERATOR, tenant="acme", role="editor")
    async with client(key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == reads
        assert (await http.post("/api/renders")).status_code == writes
