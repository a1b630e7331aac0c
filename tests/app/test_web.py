"""The web application over a real database: chat, the page, the API page, and who may come in."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from local_login import log_in_locally
from pydantic import AnyHttpUrl
from sentences import SentenceSnapshot

from agent.event_stream import EventReader
from app.composition import Services
from app.page.routes import BuiltPage, page_router
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.errors import install_error_handlers
from soundstage.settings import Settings
from studio.personas.watching import PersonaWatch


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A provisioning API where nothing listens, also on a machine on which the product runs."""
    away = settings.provisioning.model_copy(update={"api_url": AnyHttpUrl("http://127.0.0.1:9")})
    return settings.model_copy(update={"provisioning": away})


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The user of this machine."""
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 40000))
    headers = await log_in_locally(services.policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as created:
        yield created


@pytest.fixture
async def outside(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on another machine."""
    transport = httpx.ASGITransport(app=create_app(services), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as created:
        yield created


def sse(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_chat_answers_in_json(
    client: httpx.AsyncClient, services: Services, snapshot: SentenceSnapshot
) -> None:
    answer = (await client.post("/api/chat", json={"message": "Make a video where Nova says: Hello"})).json()
    assert answer["session_id"].startswith("ses_")
    assert answer["reply"] == snapshot("new_video", id=answer["render_id"])
    assert [event["type"] for event in answer["events"]][-1] == "done"
    assert (await services.studio.renders.get(answer["render_id"])).state == "queued"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_chat_tells_the_plan_where_only_the_plan_is_wanted(
    client: httpx.AsyncClient, services: Services, accept: str
) -> None:
    body = {"message": "Make a video where Nova says: Hello", "dry_run": True}
    reported = (await client.post("/api/chat", json=body, headers={"Accept": accept})).text
    assert (
        "This would happen, and nothing has" in reported and "Make a video of 1 scene with Nova" in reported
    )
    assert await services.studio.renders.list() == []
    again = (await client.post("/api/chat", json={**body, "message": "cancel the video rnd_nope"})).json()
    assert again["events"][-2]["code"] == "render.not_found"


async def test_chat_answers_as_events_when_asked_to(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/chat", json={"message": "list my videos"}, headers={"Accept": "text/event-stream"}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    kinds = [event["type"] for event in sse(answer.text)]
    assert kinds == ["turn", "understood", "tool_call", "tool_result", "text", "done"]


async def test_a_conversation_goes_on_and_can_be_read_again(client: httpx.AsyncClient) -> None:
    first = (await client.post("/api/chat", json={"message": "Say: one"})).json()
    more = {"message": "cancel it", "session_id": first["session_id"]}
    second = (await client.post("/api/chat", json=more)).json()
    assert second["render_id"] == first["render_id"]
    turns = (await client.get(f"/api/chat/sessions/{first['session_id']}/turns")).json()
    assert [turn["utterance"] for turn in turns] == ["Say: one", "cancel it"]
    [session] = (await client.get("/api/chat/sessions")).json()
    assert (session["turns"], session["last_render_id"]) == (2, first["render_id"])


async def test_a_session_that_there_is_not_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/chat", json={"message": "help", "session_id": "ses_none"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "session.not_found" and answer.json()["hint"]


@pytest.mark.parametrize(
    "body", [{}, {"message": ""}, {"message": "x", "extra": 1}, {"message": "x" * 220_001}]
)
async def test_a_body_that_is_none_is_refused(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await client.post("/api/chat", json=body)).status_code == 422


async def test_progress_of_an_ended_render_is_one_event(client: httpx.AsyncClient) -> None:
    created = (await client.post("/api/chat", json={"message": "Say: one"})).json()
    await client.post("/api/chat", json={"message": "cancel it", "session_id": created["session_id"]})
    answer = await client.get(f"/api/chat/renders/{created['render_id']}/progress")
    [event] = sse(answer.text)
    assert (event["state"], event["error"]["code"]) == ("cancelled", "render.cancelled")
    again = {"Last-Event-ID": "ended"}
    assert (await client.get(answer.request.url.path, headers=again)).status_code == 204
    assert (await client.get("/api/chat/renders/rnd_none/progress")).status_code == 404


async def test_help_and_tools_are_data(client: httpx.AsyncClient) -> None:
    lines = (await client.get("/api/chat/help")).json()
    tools = (await client.get("/api/chat/tools")).json()
    assert {line["tool"] for line in lines if line["tool"]} == {tool["name"] for tool in tools}
    assert all(tool["parameters"]["type"] == "object" for tool in tools)


@pytest.mark.parametrize(
    ("language", "video", "projects"),
    [
        ("en", "In 720p vertical, have Nova say: Hello", "List my projects"),
        ("de", "Hochkant in 720p soll Nova sagen: Hallo", "Zeig meine Projekte"),
        # What the agent does not speak is answered in the language of its grammar.
        ("xx", "In 720p vertical, have Nova say: Hello", "List my projects"),
    ],
)
async def test_help_has_examples_in_a_language(
    client: httpx.AsyncClient, language: str, video: str, projects: str
) -> None:
    lines = (await client.get("/api/chat/help", params={"language": language})).json()
    openings = {line["tool"]: line["openings"] for line in lines if line["openings"]}
    assert set(openings) == {"make_render", "list_personas", "edit_project", "list_machines", "memory"}
    assert video == openings["make_render"][1]
    assert all(line["openings"] == line["examples"][: len(line["openings"])] for line in lines)
    assert projects in {example for line in lines for example in line["examples"]}


async def test_an_editor_from_outside_comes_in_with_a_key_and_a_viewer_may_not_chat(
    outside: httpx.AsyncClient, services: Services
) -> None:
    async def key(role: str) -> dict[str, str]:
        async with services.database.transaction() as session:
            created = await services.policy.keys.create(
                session, KeyRequest(name=role, role=role), Principal.local_admin()
            )
        return {"Authorization": f"Bearer {created.key}"}

    body = {"message": "Make a video where Nova says: Hello"}
    assert (await outside.post("/api/chat", json=body)).status_code == 401
    assert (await outside.post("/api/chat", json=body, headers=await key("viewer"))).status_code == 403
    answer = await outside.post("/api/chat", json=body, headers=await key("editor"))
    assert answer.json()["render_id"]
    path = {"message": "Create a persona called X from photo /etc/hostname with the consent of X for y"}
    refused = await outside.post("/api/chat", json=path, headers=await key("editor"))
    assert "policy.forbidden" in refused.text and "upload the file" in refused.text


async def test_the_built_page_and_everything_it_names_is_served_from_here(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<script type="module" src="/page/main-1a2b.js"></script>')
    (tmp_path / "main-1a2b.js").write_text("1")
    (tmp_path / ".key").write_text("built-1")
    app = FastAPI()
    app.include_router(page_router(BuiltPage(tmp_path)))
    install_error_handlers(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        assert (await client.get("/")).headers["cache-control"] == "no-cache"
        part = await client.get("/page/main-1a2b.js")
        assert "immutable" in part.headers["cache-control"]
        assert part.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/page/.key")).status_code == 404


async def test_the_page_may_reach_its_own_server_and_the_livekit_server_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("x")
    app = FastAPI()
    app.include_router(page_router(BuiltPage(tmp_path, connects_to=("wss://rooms.example",))))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "connect-src 'self' wss://rooms.example;" in policy


async def test_a_page_that_was_not_built_says_what_to_do(tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(page_router(BuiltPage(tmp_path)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answer = await client.get("/")
    assert answer.status_code == 503 and "make ui" in answer.text


async def test_what_happens_is_told_to_those_who_may_read_it(services: Services) -> None:
    requester = Principal.local_admin("chat")
    conversation = await services.brain.sessions.open(requester)
    async with services.database.transaction() as session:
        reported = [
            await services.events.append(session, stream, "test.happened")
            for stream in (f"session:{conversation.id}", f"turn:{conversation.id}:1", "render:rnd_1", "keys")
        ]

    async def may_see(principal: Principal) -> list[bool]:
        reader = EventReader(principal, services.brain.sessions, services.decisions)
        return [await reader.may_see(one) for one in reported]

    assert await may_see(requester) == [True, False, True, True]
    assert await may_see(Principal("key_1", "other", "editor", "key")) == [False, False, True, False]


async def test_a_persona_file_that_appears_during_a_look_is_reported_by_the_next(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, folder = services.studio.persona_files, services.studio.library.user_folder
    watch = PersonaWatch(services.studio.library, services.database, services.events, files)
    await watch.look()
    refresh = files.refresh

    async def refresh_after_a_change() -> bool:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ada.yaml").write_text("id: ada\nname: [")
        return await refresh()

    monkeypatch.setattr(files, "refresh", refresh_after_a_change)
    await watch.look()
    monkeypatch.undo()
    await watch.look()
    assert [event.kind for event in await services.events.read("personas")] == ["persona.broken"]


async def test_a_persona_s_file_that_breaks_is_told_to_those_who_may_see_it(services: Services) -> None:
    watch = PersonaWatch(
        services.studio.library, services.database, services.events, services.studio.persona_files
    )
    await watch.look()
    services.studio.library.user_folder.mkdir(parents=True, exist_ok=True)
    (services.studio.library.user_folder / "ada.yaml").write_text("id: ada\nname: [")
    await watch.look()
    (reported,) = await services.events.read("personas")
    assert (reported.kind, reported.data["persona"]) == ("persona.broken", "ada")

    async def may_see(principal: Principal) -> bool:
        return await EventReader(principal, services.brain.sessions, services.decisions).may_see(reported)

    viewer = Principal("key_1", "page", "viewer", "key")
    assert await may_see(viewer)
    assert not await may_see(replace(viewer, scopes=("render:read",)))
    assert not await may_see(replace(viewer, role="admin", tenant="acme"))


async def test_machines_of_a_provisioning_api_that_is_away_are_a_problem_document(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/farm/machines")
    assert (answer.status_code, answer.json()["code"]) == (503, "machines.no_server")


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_names_no_outside_host_and_forbids_scripts_of_others(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "http://" not in answer.text and "https://" not in answer.text
    assert not re.search(r"<script(?![^>]*src=)", answer.text) and " on" not in re.sub(
        r">[^<]*<", "><", answer.text
    )


async def test_every_reference_of_the_description_leads_somewhere(client: httpx.AsyncClient) -> None:
    """Clients are made of it."""
    document = (await client.get("/openapi.json")).json()
    named = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document)))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert len(named) > 50 and named - known == set()


async def test_the_api_page_is_complete_without_the_internet(client: httpx.AsyncClient) -> None:
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert (await client.get(f"/docs/{name}")).status_code == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/api/chat", "/api/renders", "/api/projects", "/api/health"} <= paths.keys()
    assert (await client.get("/docs/../secrets")).status_code == 404


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2froutes.py", "routes.py"])
async def test_only_the_files_of_the_page_are_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/page/{name}")).status_code == 404
