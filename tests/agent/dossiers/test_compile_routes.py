"""The compiler over REST and on the command line: compile, upload, save, read back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_login import log_in_locally

from agent.dossiers import registry
from app.composition import Services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from studio.personas.schemas import Persona
from studio.personas.yaml_source import parse_persona

SAMPLE = Path(__file__).parents[3] / "docs" / "guide" / "tide-station.dossier.json"


@pytest.fixture
def sample() -> Any:
    return json.loads(SAMPLE.read_text())


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 50_000))
    headers = await log_in_locally(services.policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as created:
        yield created


async def test_a_dossier_is_compiled_and_nothing_is_saved(client: httpx.AsyncClient, sample: Any) -> None:
    for body in (sample, {"dossier_json": sample}):
        answer = await client.post("/api/compile", json=body)
        assert answer.status_code == 200, answer.text
        created = answer.json()
        assert (created["success"], created["agent_id"], created["saved"]) == (
            True,
            "tide-station-desk",
            False,
        )
        assert "name: Tide Station Desk" in created["agent_yaml"] and created["workflow"]["steps"]
    assert (await client.get("/api/personas/tide-station-desk")).status_code == 404


async def test_an_upload_is_saved_and_read_back_and_goes_with_its_persona(
    client: httpx.AsyncClient, services: Services
) -> None:
    file = {"file": ("../../evil.json", SAMPLE.read_bytes(), "application/json")}
    answer = await client.post("/api/compile/upload?save=true", files=file)
    assert answer.status_code == 200 and answer.json()["saved"] is True, answer.text
    persona = (await client.get("/api/personas/tide-station-desk")).json()
    assert (persona["name"], persona["tools"]) == ("Tide Station Desk", [])
    workflow = (await client.get("/api/personas/tide-station-desk/workflow")).json()
    assert workflow["start"] == "watch-surge"
    api = (await client.get("/api/personas/tide-station-desk/mock-api")).json()
    assert "/functions/tideat" in api["paths"]
    again = await client.post("/api/compile/upload?save=true", files=file)
    assert (again.status_code, again.json()["code"]) == (409, "persona.exists")
    assert (await client.post("/api/compile/upload?save=true&replace=true", files=file)).status_code == 200
    assert (await client.delete("/api/personas/tide-station-desk")).status_code == 200
    assert [path for path in services.own_personas.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "path", ["/api/compile?save=true", "/api/compile/save/pier", "/api/compile/upload?save=true"]
)
async def test_whoever_may_only_make_personas_takes_the_place_of_none(
    client: httpx.AsyncClient, services: Services, sample: Any, path: str
) -> None:
    async with services.database.transaction() as session:
        request = KeyRequest(name="maker", role="editor", scopes=["persona:create", "persona:read"])
        created = await services.policy.keys.create(session, request, Principal.local_admin())
    headers = {"Authorization": f"Bearer {created.key}"}
    file = {"file": ("a.json", SAMPLE.read_bytes(), "application/json")}
    body: dict[str, Any] = {"files": file} if "upload" in path else {"json": sample}
    assert (await client.post(path, headers=headers, **body)).status_code == 200
    joint = "&" if "?" in path else "?"
    answer = await client.post(f"{path}{joint}replace=true", headers=headers, **body)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden"), answer.text
    assert "persona:update" in answer.json()["detail"]


async def test_of_two_that_save_one_id_at_the_same_moment_one_is_told_that_it_is_taken(
    client: httpx.AsyncClient, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    parse = parse_persona

    def together(text: str, file: str) -> Persona:
        """Between looking and writing: waits for the other one, which never comes when it is done right."""
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        return parse(text, file)

    monkeypatch.setattr(registry, "parse_persona", together)
    answers = await asyncio.gather(*(client.post("/api/compile/save/pier", json=sample) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_it_is_saved_under_another_id_and_never_in_the_place_of_somebody_else(
    client: httpx.AsyncClient, sample: Any
) -> None:
    answer = await client.post("/api/compile/save/harbour", json=sample)
    assert (answer.status_code, answer.json()["agent_id"]) == (200, "harbour")
    assert (await client.get("/api/personas/harbour/workflow")).json()["persona"] == "harbour"
    for taken in ("nova", "harbour"):
        answer = await client.post(f"/api/compile/save/{taken}", json=sample)
        assert (answer.status_code, answer.json()["code"]) == (409, "persona.exists")
    answer = await client.post("/api/compile/save/nova?replace=true", json=sample)
    assert (answer.status_code, answer.json()["code"]) == (409, "persona.exists")
    answer = await client.post("/api/compile/save/Not%20an%20id", json=sample)
    assert (answer.status_code, answer.json()["code"]) == (422, "dossier.invalid")
    missing = await client.get("/api/personas/nova/workflow")
    assert (missing.status_code, missing.json()["code"]) == (404, "dossier.not_found")


async def test_faults_come_as_a_problem_with_pointers(client: httpx.AsyncClient, sample: Any) -> None:
    sample["header"]["version"] = 1
    del sample["dossierSpecificDefinitions"]["roles"]
    answer = await client.post("/api/compile", json=sample)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "dossier.invalid"
    assert "/header/version" in [error["pointer"] for error in problem["errors"]]
    assert len(problem["errors"]) > 3


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"content": b"x" * (3 << 20)}, {"dossier.too_large", "http.body_too_large", "request.too_large"}),
        ({"content": b"{"}, {"dossier.invalid"}),
        ({"content": b""}, {"dossier.invalid"}),
    ],
)
async def test_bodies_that_are_no_dossier_are_refused(
    client: httpx.AsyncClient, call: dict[str, Any], code: set[str]
) -> None:
    answer = await client.post("/api/compile", **call)
    assert answer.status_code in (413, 422) and answer.json()["code"] in code


async def test_uploads_that_hold_no_file_are_refused(client: httpx.AsyncClient) -> None:
    for call, code in (
        ({"data": {"other": "x"}}, "dossier.no_file"),
        ({"files": {"file": ("a.json", b"x" * (3 << 20))}}, "dossier.too_large"),
        ({"files": {"file": ("a.json", b"\x00\x01")}}, "dossier.invalid"),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, "dossier.bad_form"),
    ):
        answer = await client.post("/api/compile/upload", **call)
        assert answer.json()["code"] == code, answer.text


async def test_a_viewer_compiles_nothing(client: httpx.AsyncClient, services: Services, sample: Any) -> None:
    async with services.database.transaction() as session:
        request = KeyRequest(name="viewer", role="viewer")
        created = await services.policy.keys.create(session, request, Principal.local_admin())
    answer = await client.post(
        "/api/compile", json=sample, headers={"Authorization": f"Bearer {created.key}"}
    )
    assert answer.status_code == 403
