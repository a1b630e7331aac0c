"""The page acts on machines through the studio, one permission per act: a real process, real keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from provisioning_house import (  # type: ignore[import-not-found]
    Desk,
    House,
    desk,
    desk_settings,
    provisioning_house,
)
from sqlalchemy import insert

from app.server import farm_routes
from policy import Principal, install_policy
from policy.keys.schemas import KeyRequest
from provisioning_api.machines.schemas import Acceptance
from provisioning_api.runs.models import Run
from soundstage.database import Database
from soundstage.errors import install_error_handlers
from soundstage.routers import add_routers
from soundstage.settings import Settings

BOSS = Principal.local_admin()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with provisioning_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
async def people(house: House, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = desk_settings(tmp_path, provisioning=house.server.access)
    async with desk(settings) as made:
        yield made


@pytest.fixture
async def page(people: Desk) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.state.farm = farm_routes.FarmCalls(people.services.settings, people.services.tool_services)
    add_routers(app, farm_routes.router)
    install_policy(app, people.services.policy, public={"/openapi.json": "no secret"})
    install_error_handlers(app)
    transport = httpx.ASGITransport(app=app, client=("10.0.0.9", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as made:
        made.headers["Authorization"] = f"Bearer {await key(people, 'admin')}"
        yield made


async def key(people: Desk, role: str, tenant: str = "default") -> str:
    policy = people.services.policy
    async with policy.db.transaction() as session:
        request = KeyRequest(name=f"{role} of {tenant}", role=role, tenant=tenant)
        made = await policy.keys.create(session, request, BOSS)
    return str(made.key)


def records(house: House, action: str) -> list[dict[str, Any]]:
    found = house.call("GET", "/api/audit", params={"limit": 1000})
    return [one for one in found if one["action"] == action]


async def test_a_machine_is_accepted_by_the_code_that_the_page_showed_and_in_the_persons_name(
    page: httpx.AsyncClient, house: House
) -> None:
    new = await house.newcomer()
    shown = (await page.get(f"/api/farm/machines/{new.machine_id}")).raise_for_status().json()
    plan = (
        (await page.get(f"/api/farm/machines/{new.machine_id}/plan?action=accept")).raise_for_status().json()
    )
    assert "sda 480 GB" in plan["changes"][-1]["where"]
    code = {"code": shown["code"]} if "code" in Acceptance.model_fields else {}
    body = {"name": "gpu-7", **code}
    done = (
        (await page.post(f"/api/farm/machines/{new.machine_id}/accept", json=body)).raise_for_status().json()
    )
    assert (done["name"], done["state"]) == ("gpu-7", "accepted")
    assert records(house, "machine.accepted")[-1]["data"]["on_behalf_of"]["name"] == "admin of default"
    timeline = (await page.get("/api/farm/machines/gpu-7/timeline")).raise_for_status().json()
    assert "spans" in timeline
    # A refusal comes through as it was meant.
    again = await page.post("/api/farm/machines/nobody/reject")
    assert (again.status_code, again.json()["code"]) == (404, "machine.not_found")
    done = (await page.post("/api/farm/machines/gpu-7/reject")).raise_for_status().json()
    assert done["state"] != "accepted"


async def test_a_conflict_of_keys_is_ended_by_the_code_on_the_screen_and_in_the_persons_name(
    page: httpx.AsyncClient, house: House
) -> None:
    first = await house.newcomer()
    again = await house.newcomer(known=False, macs=first.macs, uuid=first.uuid)
    path = f"/api/farm/machines/{first.machine_id}"
    shown = (await page.get(path)).raise_for_status().json()
    assert [shown["code"], *(one["code"] for one in shown["conflicts"])] == [first.code, again.code]
    # A code that no key of this machine has changes nothing.
    wrong = await page.post(f"{path}/key", json={"code": "0000-0000-0000"})
    assert wrong.is_client_error, wrong.text
    assert house.machine(first.name)["code"] == first.code
    done = (await page.post(f"{path}/key", json={"code": again.code})).raise_for_status().json()
    assert (done["code"], done["conflicts"]) == (again.code, [])
    assert records(house, "machine.key_chosen")[-1]["data"]["on_behalf_of"]["name"] == "admin of default"


async def test_a_machine_is_retired_by_the_plan_that_was_shown_and_by_no_other(
    page: httpx.AsyncClient, house: House
) -> None:
    await house.member("old-1")
    plan = (await page.get("/api/farm/machines/old-1/retire?drain=false")).raise_for_status().json()
    assert plan["steps"]
    body = {"confirm": "old-1", "drain": False}
    changed = await page.post("/api/farm/machines/old-1/retire", json={**body, "plan": "0" * 64})
    assert changed.status_code == 409, changed.text
    done = await page.post("/api/farm/machines/old-1/retire", json={**body, "plan": plan["digest"]})
    assert done.raise_for_status().json()["state"] == "draining"


async def test_an_act_whose_plan_has_changed_since_it_was_shown_is_not_done(
    page: httpx.AsyncClient, house: House
) -> None:
    await house.member("n-3")
    plan = (await page.get("/api/farm/machines/n-3/plan?action=reinstall")).raise_for_status().json()
    wrong = await page.post("/api/farm/machines/n-3/reinstall", json={"plan": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "machine.plan_changed")
    assert house.machine("n-3")["state"] == "enrolled"
    # Nobody has said how it is switched.
    power = await page.post("/api/farm/machines/n-3/power", json={"action": "on"})
    assert power.status_code in (409, 422), power.text
    done = await page.post("/api/farm/machines/n-3/reinstall", json={"plan": plan["sha256"]})
    assert "written anew" in done.raise_for_status().json()["sentence"]
    assert house.machine("n-3")["state"] == "accepted"


ACTS = {
    "machine:accept": ("accept", "key", "reject", "reinstall"),
    "machine:drain": ("drain", "undrain"),
    "machine:power": ("power", "netboot"),
    "machine:retire": ("retire",),
}
BODIES = {"key": {"code": "2c91-a110-1679"}, "power": {"action": "off"}, "retire": {"confirm": "n-4"}}


async def test_each_act_needs_its_permission_and_other_tenants_have_none(
    page: httpx.AsyncClient, people: Desk, house: House
) -> None:
    await house.member("n-4")
    for role, tenant in (("viewer", "default"), ("editor", "default"), ("admin", "acme")):
        headers = {"Authorization": f"Bearer {await key(people, role, tenant)}"}
        for acts in ACTS.values():
            for act in acts:
                path = f"/api/farm/machines/n-4/{act}"
                answer = await page.post(path, json=BODIES.get(act, {}), headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden"), (role, act)
        answer = await page.get("/api/farm/machines/n-4/plan?action=retire", headers=headers)
        assert answer.status_code == 403, role
        assert (
            await page.post("/api/farm/runs", json={"playbook": "playbook.yaml"}, headers=headers)
        ).status_code == 403
    assert (await page.get("/api/farm/machines", headers=headers)).status_code == 403
    assert house.machine("n-4")["state"] == "enrolled"


@pytest.mark.parametrize("name", ["..", "a%2F..%2Fruns", "a%3Fb", "a%23b", "-x", "a b", "x" * 90])
async def test_a_name_of_a_machine_leads_to_no_other_route(page: httpx.AsyncClient, name: str) -> None:
    answer = await page.post(f"/api/farm/machines/{name}/reject")
    assert answer.status_code in (404, 422) and answer.json().get("code") != "machine.not_found", answer.text


async def test_what_a_run_says_is_passed_on_as_it_comes_and_ends_with_the_run(
    page: httpx.AsyncClient, house: House
) -> None:
    await house.member("n-5")
    body = {"playbook": "playbook.yaml", "machines": ["n-5"]}
    run = (await page.post("/api/farm/runs", json=body)).raise_for_status().json()
    path = f"/api/farm/runs/{run['id']}/events"
    async with page.stream("GET", path, timeout=120) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in answer.aiter_lines()]
    ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    found = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert ids == sorted(set(ids)) and len(found) == len(ids) >= 2
    # From the middle: the rest and no more; from the end: nothing more to tell.
    middle = await page.get(path, headers={"Last-Event-ID": str(ids[0])}, timeout=120)
    assert [line for line in middle.text.splitlines() if line.startswith("id: ")] == [
        f"id: {one}" for one in ids[1:]
    ]
    assert (await page.get(path, headers={"Last-Event-ID": str(ids[-1])})).status_code == 204
    assert (await page.get("/api/farm/runs/run_nothing/events")).json()["code"] == "run.not_found"
    assert (await page.get(f"/api/farm/runs/{run['id']}/tasks")).status_code == 200


async def test_the_events_of_all_runs_are_followed_and_hold_nothing_else(
    page: httpx.AsyncClient, house: House
) -> None:
    await house.member("n-6")
    server = house.server
    async with (
        httpx.AsyncClient(
            base_url=server.url, headers=server.headers, timeout=120, trust_env=False
        ) as client,
        client.stream("GET", "/api/runs/events") as answer,
    ):
        body = {"playbook": "playbook.yaml", "machines": ["n-6"]}
        run = (await page.post("/api/farm/runs", json=body)).raise_for_status().json()
        kinds = []
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                assert event["stream"] == f"run:{run['id']}", (
                    "a machine that moved meanwhile is told elsewhere"
                )
                kinds.append(event["kind"])
            if "run.ended" in kinds:
                break
    assert (kinds[0], kinds[-1]) == ("run.queued", "run.ended")
    assert "run.started" in kinds


async def test_runs_are_paged_through_the_studio_as_where_they_are(
    page: httpx.AsyncClient, house: House
) -> None:
    found = Settings(state_dir=house.server.folder / "state").provisioning_database_url
    beside = Database(found)
    rows = [
        {"id": f"run_{number:026}", "state": "failed", "playbook": "p.yaml", "reason": "test",
         "requested_by": "x"}
        for number in range(7)
    ]  # fmt: skip
    async with beside.transaction() as session:
        await session.execute(insert(Run), rows)
    await beside.close()
    # Other tests of this server have runs too, newer ones, of which some fail.
    seen: list[int] = []
    pages = 0
    url = "/api/farm/runs?state=failed&limit=3"
    while url:
        answer = (await page.get(url)).raise_for_status()
        assert int(answer.headers["X-Total-Count"]) >= 7
        seen += [int(run["id"][4:]) for run in answer.json() if run["playbook"] == "p.yaml"]
        pages += 1
        url = answer.links["next"]["url"] if "next" in answer.links else ""
        assert not url or url.startswith("/api/farm/runs?")
    assert seen == [6, 5, 4, 3, 2, 1, 0] and pages >= 3
    bad = await page.get("/api/farm/runs?cursor=AAAA")
    assert (bad.status_code, bad.json()["code"]) == (422, "page.bad_cursor")
