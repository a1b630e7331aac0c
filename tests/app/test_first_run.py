"""The first run over REST: steps are done by what exists, or as they were marked; each tenant has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from two_tenants import OWNER, RIVAL, calling, key_of

from app.composition import Services
from app.server import first_run_routes
from app.server.web import create_app
from farm.nomad.overview import CardOverview, ClusterOverview, NodeOverview
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.database import utcnow
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Unavailable
from soundstage.settings import Settings
from studio.renders.models import Render

ALL = ["doctor", "presenter", "voice", "film", "model", "gpu", "machines", "keys"]
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Devices of this machine are not the test's."""
    devices = tmp_path / "dev"
    devices.mkdir()
    monkeypatch.setattr(first_run_routes, "_DEVICES", devices)
    monkeypatch.setattr(first_run_routes, "FARM_AGE_S", 0.0)
    return devices


@pytest.fixture
async def of(services: Services) -> AsyncIterator[Ask]:
    """A client with a key of a tenant and a role."""
    app = create_app(services)
    async with AsyncExitStack() as stack:

        async def of(tenant: str = "default", role: str = "admin") -> httpx.AsyncClient:
            return await stack.enter_async_context(calling(app, await key_of(services, tenant, role)))

        yield of


async def states(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get("/api/first-run")
    assert answer.status_code == 200, answer.text
    return {one["step"]: one["state"] for one in answer.json()["steps"]}


async def mark(client: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
    answer = await client.patch("/api/first-run", json=change)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def finish_film(services: Services, tenant: str) -> None:
    """Inserts what a worker would have made."""
    with tenant_scope(tenant):
        async with services.database.transaction() as session:
            film = {"spec": {}, "spec_hash": "sha256:0", "title": "Tides"}
            session.add(Render(kind="video", state="done", finished_at=utcnow(), **film))


async def test_a_new_installation_begins_with_all_steps(of: Ask) -> None:
    client = await of()
    answer = (await client.get("/api/first-run")).json()
    assert [one["step"] for one in answer["steps"]] == ALL
    assert [one["step"] for one in answer["steps"] if one["needed"]] == ALL[:4]
    assert {one["state"] for one in answer["steps"] if one["step"] != "keys"} == {"open"}
    assert (answer["presenter"], answer["finished"], answer["dismissed"]) == (None, False, False)


async def test_steps_are_marked_skipped_and_opened_again(of: Ask) -> None:
    client = await of()
    found = await mark(client, steps={"doctor": "done", "voice": "done", "gpu": "skipped"}, presenter="nova")
    assert found["presenter"] == "nova" and not found["finished"]
    seen = await states(client)
    assert (seen["doctor"], seen["presenter"], seen["voice"]) == ("done", "done", "done")
    assert (seen["film"], seen["gpu"]) == ("open", "skipped")
    assert (await mark(client, steps={"film": "skipped"}))["finished"] is True
    found = await mark(client, steps={"film": "open"}, dismissed=True)
    assert not found["finished"] and found["dismissed"]
    assert (await states(client))["gpu"] == "skipped", "what is not named stays"


async def test_a_project_shows_a_chosen_presenter_and_a_film_all_that_leads_to_it(
    of: Ask, services: Services
) -> None:
    client = await of()
    await client.post("/api/projects", json={"title": "Tides"})
    seen = await states(client)
    assert (seen["presenter"], seen["voice"], seen["film"]) == ("done", "open", "open")
    await finish_film(services, "default")
    assert [state for step, state in (await states(client)).items() if step in ALL[:4]] == ["done"] * 4
    assert (await client.get("/api/first-run")).json()["finished"] is True


async def test_keys_for_others_count_and_those_of_the_first_start_do_not(services: Services, of: Ask) -> None:
    await services.policy.first_admin_key()
    async with services.database.transaction() as session:
        await services.policy.keys.register_local(session, "ab" * 32)
        admin = Principal("key_admin", "admin", "admin", "key")
        theirs = KeyRequest(name="x", role="admin", tenant=RIVAL)
        await services.policy.keys.create(session, theirs, admin)
    assert not await first_run_routes.has_other_keys(services.policy, admin)
    async with services.database.transaction() as session:
        key = await services.policy.keys.create(session, KeyRequest(name="x", role="viewer"), admin)
    assert await first_run_routes.has_other_keys(services.policy, admin)
    other = Principal("key_owner", "owner", "admin", "key", tenant=OWNER)
    assert not await first_run_routes.has_other_keys(services.policy, other)
    async with services.database.transaction() as session:
        await services.policy.keys.revoke(session, key.id, admin)
    assert not await first_run_routes.has_other_keys(services.policy, admin)


async def test_cards_of_this_machine_are_seen(of: Ask, no_cards: Path) -> None:
    client = await of()
    assert (await states(client))["gpu"] == "open"
    (no_cards / "nvidia0").touch()
    assert (await states(client))["gpu"] == "done"


async def test_cards_and_machines_of_a_farm_are_seen(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = CardOverview("GPU-1", "L4", 23000, 1, 0, "")
    node = NodeOverview("n1", "node1", "ready", "default", (card,), ())
    found: list[Any] = [ClusterOverview("10.0.0.1:4647", (node,)), Unavailable("nomad.unreachable", "no", "")]

    async def overview(_: Any) -> ClusterOverview:
        one = found.pop(0)
        if isinstance(one, Exception):
            raise one
        assert isinstance(one, ClusterOverview)
        return one

    monkeypatch.setattr(first_run_routes, "overview", overview)
    steps = first_run_routes.FarmSteps(Settings.model_validate({"farm": {"scheduler": "nomad"}}))
    assert await steps.find() == {"gpu": True, "machines": True}
    assert await steps.find() == {"gpu": False, "machines": False}, "a farm that does not answer is no error"


async def test_each_tenant_has_its_own_without_the_steps_of_the_installation(
    of: Ask, services: Services
) -> None:
    owner, rival = await of(OWNER), await of(RIVAL)
    await mark(owner, steps={"voice": "done"}, presenter="nova", dismissed=True)
    await finish_film(services, OWNER)
    assert list(await states(rival)) == ["presenter", "voice", "film", "keys"]
    answer = (await rival.get("/api/first-run")).json()
    assert (answer["presenter"], answer["dismissed"], answer["finished"]) == (None, False, False)
    assert (await rival.get("/api/first-run")).json()["steps"][2]["state"] == "open"
    refused = await rival.patch("/api/first-run", json={"steps": {"doctor": "skipped"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "first_run.no_step")


@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("editor", 403), ("viewer", 403)])
async def test_it_is_for_those_who_set_the_installation_up(of: Ask, role: str, status: int) -> None:
    client = await of(role=role)
    assert (await client.get("/api/first-run")).status_code == status
    assert (await client.patch("/api/first-run", json={"dismissed": True})).status_code == status


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"steps": {"film": "done"}}, "first_run.not_marked"),
        ({"steps": {"keys": "done"}}, "first_run.not_marked"),
        ({"presenter": "nobody"}, "persona.not_found"),
        ({"steps": {"tea": "done"}}, "request.invalid"),
        ({"finished": True}, "request.invalid"),
    ],
)
async def test_what_cannot_be_marked_is_refused(of: Ask, change: dict[str, Any], code: str) -> None:
    client = await of()
    answer = await client.patch("/api/first-run", json=change)
    assert answer.status_code in (404, 422) and answer.json()["code"] == code
    assert (await states(client))["film"] == "open"


async def test_a_change_is_in_the_audit_log_once(of: Ask) -> None:
    client = await of(OWNER)
    for _ in range(2):
        await mark(client, steps={"voice": "done"})
    lines = [one for one in (await client.get("/api/audit")).json() if one["kind"] == "first_run.changed"]
    assert [one["data"]["steps"] for one in lines] == [{"voice": "done"}]
