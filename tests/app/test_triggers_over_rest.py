"""Lists and cancels triggers over REST and at the prompt: one's own alone, by the whole id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from agent.triggers.schemas import StoredCall, When
from agent.triggers.service import Draft
from app.composition import Services, open_services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.settings import Settings

NOON = Draft(
    When(every="day", time="12:00", zone="Europe/Berlin"),
    [StoredCall(tool="list_renders")],
    "List the videos at noon",
)


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        yield client


async def _key(services: Services, name: str, role: str = "editor") -> dict[str, str]:
    async with services.database.transaction() as session:
        created = await services.policy.keys.create(
            session, KeyRequest(name=name, role=role), Principal.local_admin()
        )
    return {"Authorization": f"Bearer {created.key}"}


async def _plan(services: Services, principal: Principal) -> None:
    session = await services.brain.sessions.open(principal)
    await services.tool_services.triggers.create(principal, session.id, [NOON])


async def test_who_planned_it_lists_and_cancels_it(http: httpx.AsyncClient, services: Services) -> None:
    ada, bob = await _key(services, "ada"), await _key(services, "bob")
    viewer = await _key(services, "vic", "viewer")
    me = (await http.get("/api/me", headers=ada)).json()
    planner = Principal(me["id"], me["name"], me["role"], "key")
    await _plan(services, planner)
    (planned,) = (await http.get("/api/triggers", headers=ada)).json()
    assert (planned["state"], planned["calls"][0]["tool"]) == ("waiting", "list_renders")
    assert (await http.get("/api/triggers", headers=bob)).json() == []
    path = f"/api/triggers/{planned['id']}/cancel"
    assert (await http.post(path, headers=viewer)).status_code == 403
    for headers, wrong in ((bob, path), (ada, path.replace("/cancel", "0/cancel"))):
        refused = await http.post(wrong, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (404, "trigger.not_found")
    assert (await http.post(path, headers=ada)).json()["state"] == "cancelled"
    assert (await http.post(path, headers=ada)).status_code == 404
    assert (await http.get("/api/triggers", headers=ada)).json() == []
    (ended,) = (await http.get("/api/triggers", params={"ended": True}, headers=ada)).json()
    assert (ended["id"], ended["state"]) == (planned["id"], "cancelled")


async def _plan_at_the_prompt(settings: Settings) -> None:
    async with open_services(settings) as services:
        await _plan(services, Principal.local_admin())


def test_the_prompt_lists_and_cancels(cli: Callable[..., Any], settings: Settings) -> None:
    assert "Nothing is planned" in cli("triggers", "list").out
    asyncio.run(_plan_at_the_prompt(settings))
    (planned,) = cli("triggers", "list", "--json").json
    assert planned["id"] in cli("triggers", "list").out
    assert "Cancelled: " in cli("triggers", "cancel", planned["id"]).out
    assert cli("triggers", "cancel", planned["id"], "--json").json["code"] == "trigger.not_found"
    assert planned["id"] in cli("triggers", "list", "--ended").out
