"""May this key do that? The policy test answers as the policy does, says why, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from two_tenants import calling

from app.composition import Services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import CreatedKey, KeyRequest


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


async def create_key(services: Services, **more: Any) -> CreatedKey:
    async with services.database.transaction() as session:
        request = KeyRequest.model_validate({"name": "a program", **more})
        return await services.policy.keys.create(session, request, Principal.local_admin())


@pytest.fixture
async def admin(services: Services, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(app, (await create_key(services, name="the boss", role="admin")).key) as client:
        yield client


async def ask(client: httpx.AsyncClient, **question: Any) -> Any:
    answer = await client.post("/api/policy/test", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_says_what_is_decided_and_what_gives_it(
    admin: httpx.AsyncClient, services: Services
) -> None:
    editor = await create_key(services, role="editor", scopes=["render:*", "asset:read"])
    may = await ask(admin, key=editor.id, action="render:create")
    assert (may["verdict"], may["reasons"], may["approvers"]) == ("allow", [], 0)
    assert may["grants"] == [{"role": "editor", "pattern": "render:create"}]
    assert may["scopes"] == ["render:*"] and may["subject"]["name"] == "a program"
    assert may["revision"] == services.policy.decider.engine.revision
    inherited = await ask(admin, key=editor.id, action="GET /api/assets")
    assert inherited["grants"] == [
        {"role": "editor", "pattern": "asset:*"},
        {"role": "viewer", "pattern": "asset:read"},
    ]
    narrowed = await ask(admin, key=editor.id, action="project:create")
    assert narrowed["verdict"] == "deny" and narrowed["scopes"] == []
    assert narrowed["reasons"] == ["the scopes of this key do not give it"]
    never = await ask(admin, key=editor.id, action="job:stop")
    assert "the role does not give it" in never["reasons"] and never["grants"] == []
    other = await ask(admin, key=editor.id, action="render:read", tenant="acme")
    assert other["reasons"] == ["it belongs to another tenant"]


async def test_a_tool_tells_its_rule_and_how_many_have_to_agree(
    admin: httpx.AsyncClient, services: Services
) -> None:
    stop = await ask(admin, action="change_job.stop")
    assert (stop["verdict"], stop["approvers"], stop["effect"]) == ("approve", 1, "destructive")
    assert stop["reasons"] == ["what the job does for others ends"]
    assert stop["rule"]["permission"] == "job:stop" and stop["system_scope"] is True
    assert (await ask(admin, action="ansible", arguments={"check": True}))["verdict"] == "allow"
    run = await ask(admin, action="ansible", arguments={"check": False})
    assert (run["verdict"], run["reasons"]) == ("approve", ["it changes machines"])
    path = await ask(admin, action="vision", arguments={"image": "/etc/passwd"})
    assert path["verdict"] == "deny" and "path on the server" in path["reasons"][0]


async def test_it_answers_as_the_policy_does_for_a_real_request(
    admin: httpx.AsyncClient, app: FastAPI, services: Services
) -> None:
    """For each route that reads without a name in its path, for each role."""
    actions = (await admin.get("/api/policy/actions")).raise_for_status().json()
    routes = [
        one["name"] for one in actions if one["kind"] == "route" and one["name"].startswith("GET /api/")
    ]
    plain = [one for one in routes if "{" not in one and not one.endswith("/events")]
    assert len(plain) > 25
    for role in ("viewer", "operator"):
        key = await create_key(services, role=role)
        async with calling(app, key.key) as client:
            for route in plain:
                verdict = (await ask(admin, key=key.id, action=route))["verdict"]
                status = (await client.get(route.partition(" ")[2])).status_code
                assert (status == 403) == (verdict == "deny"), (role, route, status)


async def test_a_revoked_key_may_nothing_and_is_still_told_of(
    admin: httpx.AsyncClient, services: Services
) -> None:
    key = await create_key(services, role="admin")
    (await admin.delete(f"/api/keys/{key.id}")).raise_for_status()
    answer = await ask(admin, key=key.id, action="render:read")
    assert answer["verdict"] == "deny" and answer["subject"]["state"] == "revoked"
    assert answer["reasons"] == ["this key does not work any more"]


async def test_the_question_is_recorded_and_counts_as_no_decision(
    admin: httpx.AsyncClient, services: Services
) -> None:
    editor = await create_key(services, role="editor")
    before = len(services.policy.decider._decisions)
    await ask(admin, key=editor.id, action="webhook:delete")
    # That of the route itself is one.
    assert len(services.policy.decider._decisions) <= before + 1
    (line,) = [one for one in await services.audit.read(0, 100) if one.kind == "policy.tested"]
    assert (line.actor, line.subject) == ("the boss", editor.id)
    assert line.data["permission"] == "webhook:delete" and line.data["verdict"] == "deny"


async def test_only_those_who_may_ask_are_answered_and_keys_of_others_are_not_there(
    admin: httpx.AsyncClient, app: FastAPI, services: Services
) -> None:
    ours = await create_key(services, role="viewer")
    async with calling(app, ours.key) as client:
        for answer in (
            await client.post("/api/policy/test", json={"action": "render:read"}),
            await client.get("/api/policy/actions"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden")
    theirs = await create_key(services, role="admin", tenant="acme")
    async with calling(app, theirs.key) as client:
        unseen = await client.post("/api/policy/test", json={"action": "render:read", "key": ours.id})
        assert (unseen.status_code, unseen.json()["code"]) == (404, "key.not_found")
        own = await ask(client, action="machine:read")
        assert own["reasons"] == ["it belongs to the house"]
    unknown = await admin.post("/api/policy/test", json={"action": "render:fly"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "policy.unknown_permission")
