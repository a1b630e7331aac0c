"""The registry of agents over REST, in the words of the older system's clients; agents are personas."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_login import log_in_locally

from app.composition import Services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.database.tenants import tenant_scope
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import Persona, PersonaValidity
from studio.personas.validation import PersonaValidation

SAMPLE = Path(__file__).parents[2] / "docs" / "guide" / "tide-station.dossier.json"
BROKEN = "id: broken\nname: Broken\ncolour: red\n"


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 50_000))
    headers = await log_in_locally(services.policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as created:
        yield created


def write(services: Services, name: str, text: str) -> Path:
    folder = services.studio.library.own
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


async def listed(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await client.get("/api/agents")
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["agents"]}


async def test_every_persona_is_an_agent_with_what_older_clients_read(
    client: httpx.AsyncClient, services: Services
) -> None:
    write(services, "broken.yaml", BROKEN)
    agents = await listed(client)
    personas = {one["id"] for one in (await client.get("/api/personas")).json()}
    assert set(agents) == personas >= {"nova", "broken"}
    nova = agents["nova"]
    assert nova.keys() >= {"id", "name", "description", "capabilities", "status", "version"}
    assert (nova["status"], agents["broken"]["status"]) == ("active", "error")
    assert nova["capabilities"] and nova["version"]
    assert nova["imageUrl"].startswith("/api/personas/nova/image?v=")
    detail = (await client.get("/api/agents/nova")).json()
    assert detail["yaml_path"] == "nova.yaml" and detail["dossier"] is None
    assert {name: detail[name] for name in nova} == nova


async def test_a_compiled_dossier_is_an_agent_with_its_version_and_steps(client: httpx.AsyncClient) -> None:
    sample = json.loads(SAMPLE.read_text())
    assert (await client.post("/api/compile/save/pier", json=sample)).status_code == 200
    detail = (await client.get("/api/agents/pier")).json()
    assert detail["version"] == sample["header"]["version"] and len(detail["steps"]) == 5
    assert detail["capabilities"] == [] and detail["dossier"]
    assert (await client.delete("/api/personas/pier")).status_code == 200
    assert (await client.get("/api/agents/pier")).json()["code"] == "agent.not_found"


async def test_a_file_that_a_change_breaks_is_degraded_and_mended_by_a_reload(
    client: httpx.AsyncClient, services: Services
) -> None:
    path = write(services, "ada.yaml", "id: ada\nname: Ada\n")
    before = (await listed(client))["ada"]
    path.write_text(BROKEN.replace("broken", "ada"))
    status = (await client.post("/api/agents/ada/reload")).json()
    assert (status["status"], status["state"]) == ("degraded", "outdated")
    assert status["faults"][0]["field"] == "colour" and status["file"] == "ada.yaml"
    verdict = (await client.post("/api/agents/ada/validate")).json()
    assert verdict["valid"] is False and verdict["faults"][0]["line"] == 3
    assert (await listed(client))["ada"]["name"] == "Ada"
    path.write_text("id: ada\nname: Ada Lovelace\n")
    assert (await client.post("/api/agents/ada/reload")).json()["status"] == "active"
    assert (await client.get("/api/agents/ada/status")).json()["status"] == "active"
    after = (await listed(client))["ada"]
    assert after["name"] == "Ada Lovelace" and after["version"] != before["version"]


async def test_a_definition_is_validated_before_anybody_saves_it(client: httpx.AsyncClient) -> None:
    before = await listed(client)
    good = await client.post("/api/agents/validate", json={"yaml": "id: eve\nname: Eve\n"})
    assert good.json() == {"valid": True, "faults": []}
    bad = (await client.post("/api/agents/validate", json={"yaml": BROKEN})).json()
    assert (bad["valid"], bad["faults"][0]["field"]) == (False, "colour")
    for body in ({}, {"yaml": 1}, {"yaml": "x" * 65_537}, {"yaml": "id: a", "more": 1}):
        assert (await client.post("/api/agents/validate", json=body)).status_code == 422
    assert await listed(client) == before


async def test_definitions_wait_in_the_line_of_personas_and_files_are_read_beside_the_event_loop(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated: list[str] = []
    reloaded_in: list[threading.Thread] = []
    reload = PersonaLibrary.reload

    async def noted(_: Any, text: str, file: str) -> PersonaValidity:
        validated.append(text)
        return PersonaValidity(valid=True)

    def watched(library: PersonaLibrary, persona_id: str) -> Any:
        reloaded_in.append(threading.current_thread())
        return reload(library, persona_id)

    monkeypatch.setattr(PersonaValidation, "validate", noted)
    monkeypatch.setattr(PersonaLibrary, "reload", watched)
    assert (await client.post("/api/agents/validate", json={"yaml": "a"})).json()["valid"] is True
    assert (await client.post("/api/personas/nova/validate", json={"yaml": "b"})).json()["valid"] is True
    assert validated == ["a", "b"]
    assert (await client.post("/api/agents/nova/reload")).status_code == 200
    assert len(reloaded_in) == 1 and threading.current_thread() not in reloaded_in


async def test_health_is_told_per_agent_and_in_all(client: httpx.AsyncClient, services: Services) -> None:
    write(services, "broken.yaml", BROKEN)
    one = (await client.get("/api/agents/broken/health")).json()
    assert (one["id"], one["status"], one["checks"][0]["name"]) == ("broken", "unhealthy", "file")
    summary = (await client.get("/api/agents/health/summary")).json()
    found = {agent["id"]: agent["status"] for agent in summary["agents"]}
    assert set(found) == set(await listed(client)) and found["broken"] == "unhealthy"
    assert summary["total"] == len(found) == summary["healthy"] + summary["unhealthy"]
    assert summary["unhealthy"] == sum(status == "unhealthy" for status in found.values())


CALLS = [
    ("GET", ""), ("GET", "/status"), ("POST", "/reload"), ("POST", "/validate"), ("GET", "/health"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "call"), CALLS)
@pytest.mark.parametrize("name", ["nobody", "x" * 3000, "%00", "..%2Fnova"])
async def test_an_agent_that_is_not_there_is_not_found(
    client: httpx.AsyncClient, method: str, call: str, name: str
) -> None:
    answer = await client.request(method, f"/api/agents/{name}{call}")
    assert answer.status_code == 404, answer.text
    if "%2F" not in name:
        assert answer.json()["code"] == "agent.not_found"


async def test_an_agent_of_another_tenant_is_not_there(client: httpx.AsyncClient, services: Services) -> None:
    with tenant_scope("rival"):
        services.studio.library.save(Persona.model_validate({"id": "theirs", "name": "Theirs"}))
    assert "theirs" not in await listed(client)
    for method, call in CALLS:
        answer = await client.request(method, f"/api/agents/theirs{call}")
        assert (answer.status_code, answer.json()["code"]) == (404, "agent.not_found")


async def test_who_may_read_personas_may_read_agents_and_nobody_else(
    client: httpx.AsyncClient, services: Services
) -> None:
    headers = {}
    for name, scopes in (("reader", ["persona:read"]), ("stranger", ["render:read"])):
        async with services.database.transaction() as session:
            request = KeyRequest(name=name, role="viewer", scopes=scopes)
            created = await services.policy.keys.create(session, request, Principal.local_admin())
        headers[name] = {"Authorization": f"Bearer {created.key}"}
    for method, call in [("GET", ""), ("GET", "/health/summary"), *((m, f"/nova{c}") for m, c in CALLS)]:
        changes = call.endswith("/reload")
        path = f"/api/agents{call}"
        seen = await client.request(method, path, headers=headers["reader"])
        assert seen.status_code == (403 if changes else 200), path
        refused = await client.request(method, path, headers=headers["stranger"])
        assert (refused.status_code, refused.json()["code"]) == (403, "policy.forbidden"), path
