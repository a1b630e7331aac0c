"""What is one tenant's does not exist for another: at every route, in every list, by every hash."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from two_tenants import JPEG, OWNER, RIVAL, Statements, calling, key_of, things_of

from agent.event_stream import EventReader
from agent.mcp.calls import McpCalls
from app.composition import Services
from app.server.web import create_app
from app.tables import all_tables
from policy import Principal
from soundstage.database import Base
from soundstage.database.tenants import DEFAULT_TENANT, TenantOwned
from soundstage.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

SHARED = {
    "api_keys": "a key is looked up before anybody knows whose it is; the service compares tenants",
    "ended_logins": "ids of logins, asked before anybody knows whose they are",
    "events": "each says whose it is; the streams tell a reader those of its tenant",
    "event_streams": "counters",
    "audit_lines": "one chain over all; each line says whose it is, and is read so",
    "agent_sessions": "of a principal of a tenant, which every question of the agent names",
    "agent_turns": "of a session",
    "approvals": "names its tenant, which every question of the service names",
    "approval_votes": "of an approval",
    "memory_shelves": "of a principal of a tenant, which every question names",
    "memories": "of a shelf",
    "memory_tellings": "of a memory",
    "snapshots": "of a principal of a tenant, which every question names",
    "continuations": "of a conversation",
    "farm_runs": "how long work took here, whoever it was for",
    "farm_tickets": "of a task on a worker, which knows of no tenants; each token opens its task only",
    "publishing_quota_days": "YouTube counts for the whole installation",
}
"""Tables without rows of tenants of their own, or whose rooms look after them in another way; and why."""

OTHERS_HAVE_THEM_TOO = {
    "GET /api/personas": "the operator's personas are everybody's",
    "GET /youtube/quota": "YouTube counts for the whole installation",
}
SYSTEM = {
    "GET /api/storage", "GET /api/storage/collection",
    "POST /api/storage/collection", "GET /metrics", "GET /api/database", "POST /api/backup",
    "GET /api/settings", "GET /api/doctor",
}  # fmt: skip
"""Routes of what is there only once, as all below `/api/farm/`: refused to all tenants but the first."""
OWN_NAME = {
    "POST /api/compile/save/{persona_id}": "it makes a persona of the caller's own, under a name of its own",
}
BODIES: dict[str, Any] = {
    "PATCH /api/assets/{asset_id}": {"name": "mine"},
    "PATCH /api/brands/{brand_id}": {"name": "mine"},
    "PATCH /api/personas/{persona_id}": {"title": "mine"},
    "PUT /api/personas/{persona_id}/voice": {"voice": {"kind": "flite"}},
    "POST /api/personas/{persona_id}/video-studio": {"script": "mine"},
    "PATCH /api/projects/{ref}": {"title": "mine"},
    "PATCH /api/renders/{render_id}": {"title": "mine"},
    "POST /api/projects/{ref}/changes": {
        "base_revision": 1,
        "changes": [{"op": "change_project", "project": {"title": "mine"}}],
    },
    "POST /api/projects/{ref}/scenes": {"script": "mine"},
    "PUT /api/projects/{ref}/scenes/order": {"scenes": ["scn_1"]},
    "PATCH /api/projects/{ref}/scenes/{scene_id}": {"title": "mine"},
    "POST /api/renders/{render_id}/links": {"expires_at": "2999-01-01T00:00:00Z"},
    "POST /api/renders/{render_id}/publish": {},
    "POST /api/renders/{render_id}/publish/plan": {},
    "POST /api/session/{session_id}/message": {"message": "mine"},
    "POST /api/snapshots/{name}/load": {},
    "POST /api/voice/broadcasts/{session_id}/say": {"text": "mine"},
    "POST /api/voice/session/{session_id}/mute": {"muted": True},
    "POST /api/voice/session/{session_id}/recording": {"with_person": True},
    "POST /api/voice/session/{session_id}/offer": {"sdp": "v=0", "token": "mine"},
    "PATCH /api/webhooks/{webhook_id}": {"description": "mine"},
    "POST /api/approvals/{approval_id}/approve": {},
    "POST /api/approvals/{approval_id}/deny": {},
}
TUS_PIECE = {
    "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0",
}  # fmt: skip
NOWHERE = {
    "number": "7", "role": "video", "name": "nothing", "ref": "nothing", "persona_id": "nothing",
    "wanted": "nothing", "agent_id": "nothing", "digest": "0" * 64,
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The application, whose key asks, and the ids of what the owner has."""

    app: FastAPI
    owner: httpx.AsyncClient
    rival: httpx.AsyncClient
    things: dict[str, str]
    statements: Statements

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of every route that is described."""
        return [
            (method.upper(), path)
            for path, methods in self.app.openapi()["paths"].items()
            for method in methods
        ]


@pytest.fixture
def settings(home: Path) -> Settings:
    """Where publishing is set up, so that its routes look for what is named."""
    folders = {"state_dir": home / "state", "out_dir": home / "out", "personas_dir": home / "personas"}
    more = {"youtube": {"client_id": "a-test"}, "webhooks": {"loopback": True}}
    return Settings.model_validate({**folders, **more})


@pytest.fixture
async def scene(services: Services) -> AsyncIterator[Scene]:
    app = create_app(services)
    keys = [await key_of(services, tenant) for tenant in (OWNER, RIVAL)]
    async with calling(app, keys[0]) as owner, calling(app, keys[1]) as rival:
        things = await things_of(services, owner)
        things["room"] = f"voice-{things['session_id']}"
        things["digest"] = "0" * 64
        async with Statements.record(services) as statements:
            yield Scene(app, owner, rival, things, statements)


def is_of_the_installation(method: str, path: str) -> bool:
    return f"{method} {path}" in SYSTEM or path.startswith("/api/farm/")


async def ask(client: httpx.AsyncClient, method: str, path: str, names: dict[str, str]) -> httpx.Response:
    address = path.format(**names)
    if "{upload_id}" in path:
        return await client.request(method, address, content=b"tides", headers=TUS_PIECE)
    return await client.request(method, address, json=BODIES.get(f"{method} {path}"))


def code_of(answer: httpx.Response) -> tuple[int, str]:
    is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    # The answer to HEAD has no body.
    return answer.status_code, answer.json()["code"] if is_problem and answer.content else ""


async def test_no_route_knows_a_thing_of_another_tenant(scene: Scene) -> None:
    """As if it were not there: the same answer as for what never was. Nothing has changed afterwards."""
    named = [
        (method, path)
        for method, path in scene.routes()
        if "{" in path and not is_of_the_installation(method, path)
    ]
    assert len(named) > 60
    seen = {path: code_of(await ask(scene.owner, "GET", path, scene.things)) for path in readable(scene)}
    assert {path: answer for path, answer in seen.items() if answer[0] != 200} == {}
    missing = {name: NOWHERE.get(name, value[:-4] + "zzzz") for name, value in scene.things.items()}
    for method, path in named:
        route = f"{method} {path}"
        if route in OWN_NAME:
            continue
        answer = await ask(scene.rival, method, path, scene.things)
        assert answer.status_code == 404, f"{route}: {answer.status_code} {answer.text}"
        assert code_of(answer) == code_of(await ask(scene.rival, method, path, missing)), route
    after = {path: code_of(await ask(scene.owner, "GET", path, scene.things)) for path in readable(scene)}
    assert after == seen
    assert scene.statements.unbound == []


def readable(scene: Scene) -> list[str]:
    """Paths with a name in them that are read to their end."""
    endless = ("/events", "/progress")
    return [
        path
        for method, path in scene.routes()
        if method == "GET" and "{" in path and not path.endswith(endless) and path not in UNREADABLE
        if not is_of_the_installation(method, path)
    ]


UNREADABLE = {
    "/api/assets/{asset_id}/thumbnail": "the bytes of these tests are no picture that could be drawn",
    "/api/assets/{asset_id}/storyboard": "of a video; the asset is a picture",
    "/api/assets/{asset_id}/storyboard.json": "the same",
    "/api/assets/{asset_id}/storyboard.vtt": "the same",
    "/api/assets/{asset_id}/proxy": "the same",
    "/api/assets/{asset_id}/peaks": "of a sound; the asset is a picture",
    "/api/renders/{render_id}/thumbnail": "the bytes of these tests are no video",
    "/api/renders/{render_id}/credentials": "the same",
    "/api/renders/{render_id}/storyboard": "the same",
    "/api/renders/{render_id}/storyboard.json": "the same",
    "/api/renders/{render_id}/storyboard.vtt": "the same",
    "/api/personas/{persona_id}/image": "no worker draws her here",
    "/api/personas/{persona_id}/model": "she is no VRM avatar",
    "/api/projects/{ref}/scenes/{scene_id}/still": "no worker draws it here",
    "/api/projects/{ref}/scenes/{scene_id}/speech": "no worker speaks it here",
    "/api/projects/{ref}/scenes/{scene_id}/speech/{digest}.wav": "the same",
    "/api/voice/session/{session_id}": "no voice worker runs here, so the session is not open for voice",
    "/api/personas/{persona_id}/mock-api": "she was not compiled from a dossier",
    "/api/personas/{persona_id}/workflow": "she was not compiled from a dossier",
}


NAMED = (
    "ref", "asset_id", "brand_id", "consent_id", "render_id", "webhook_id", "session_id", "publication_id",
    "account_id", "memory_id", "approval_id", "key_id", "voice",
)  # fmt: skip


async def test_lists_of_another_tenant_are_empty(scene: Scene) -> None:
    for method, path in scene.routes():
        route = f"{method} {path}"
        if method != "GET" or "{" in path or route in {*OTHERS_HAVE_THEM_TOO, "GET /api/events"}:
            continue
        if is_of_the_installation(method, path):
            continue
        answer = await scene.rival.get(path)
        text = answer.text
        for name in NAMED:
            assert scene.things[name] not in text, f"{route} tells of {name}"
        if isinstance(listed := answer.json() if "json" in answer.headers["content-type"] else None, list):
            own = {"/api/keys": 1, "/api/log": 1}.get(path, 0)
            assert path in NOT_OF_TENANTS or len(listed) == own, f"{route}: {text}"
    assert scene.statements.unbound == []


NOT_OF_TENANTS = {
    "/api/policy/actions",
    "/api/chat/help",
    "/api/chat/tools",
    "/api/chat/experts",
    "/api/audit",
}


async def test_what_belongs_to_the_house_is_refused(scene: Scene) -> None:
    refused = [route for route in scene.routes() if is_of_the_installation(*route)]
    assert len(refused) > 20
    for method, path in refused:
        names = dict.fromkeys(("name", "run_id", "job"), "nothing")
        names["allocation_id"] = "00000000-0000-0000-0000-000000000000"
        answer = await ask(scene.rival, method, path, names)
        assert code_of(answer) == (403, "policy.forbidden"), f"{method} {path}"


async def test_a_hash_is_no_right(scene: Scene) -> None:
    sha256 = scene.things["sha256"]
    consent = {"person": "Ada", "purpose": "films", "granted_at": "2026-01-01T00:00:00Z"}
    picture = {"background": {"kind": "image", "image": {"sha256": sha256}}}
    project = (await scene.rival.post("/api/projects", json={"title": "Mine"})).json()["slug"]
    spec = {"title": "x", "scenes": [{"id": "s1", "script": "hi", **picture}]}
    attempts = [
        ("/api/assets", {"sha256": sha256}),
        ("/api/personas", {"name": "Mine", "media": sha256, "consent": consent}),
        (f"/api/projects/{project}/scenes", {"script": "hi", **picture}),
        ("/api/renders", {"spec": spec}),
    ]
    theirs = {"name": "mine", "said": "hi", "asset": scene.things["asset_id"], "consent": consent}
    unseen = await scene.rival.post("/api/voices", json=theirs)
    never = await scene.rival.post("/api/voices", json={**theirs, "asset": "ast_never"})
    assert code_of(unseen) == code_of(never) == (404, "asset.not_found")
    for path, body in attempts:
        unseen = await scene.rival.post(path, json=body)
        never = await scene.rival.post(path, json=replace_ids(body, sha256, "sha256:" + "0" * 64))
        assert (unseen.status_code, code_of(unseen)) == (404, code_of(never)), f"{path}: {unseen.text}"
    # Whoever has brought the same bytes has them.
    brought = await scene.rival.post("/api/assets?name=a.jpg", content=JPEG)
    assert brought.json()["sha256"] == sha256
    assert (await scene.rival.post(f"/api/projects/{project}/scenes", json=attempts[2][1])).status_code == 201
    assert (await scene.rival.post("/api/assets", json={"sha256": sha256})).status_code == 201
    assert (await scene.rival.post("/api/renders", json={"spec": spec})).status_code == 202


async def test_a_persona_of_the_operator_is_everybodys_with_the_picture_behind_it(
    scene: Scene, services: Services, home: Path
) -> None:
    behind = await services.blobs.put_bytes(JPEG + b"behind", "image/jpeg")
    text = (
        "id: guide\nname: Guide\nface: {kind: rig, character: nova}\n"
        f"style: {{background: {{kind: image, image: {{sha256: '{behind.sha256}'}}}}}}\n"
    )
    await asyncio.to_thread((home / "personas" / "guide.yaml").write_text, text)
    queued = await scene.rival.post("/api/renders", json={"script": "hi", "persona": "guide"})
    assert queued.status_code == 202, queued.text


async def test_nothing_is_imported_into_a_project_of_another_tenant(scene: Scene) -> None:
    before = (await scene.owner.get(f"/api/projects/{scene.things['ref']}/scenes")).json()
    for path in ("/api/imports", "/api/imports/plan"):
        answer = await scene.rival.post(path, json={"text": "# Mine", "project": scene.things["ref"]})
        assert code_of(answer) == (404, "project.not_found")
    assert (await scene.owner.get(f"/api/projects/{scene.things['ref']}/scenes")).json() == before
    assert scene.statements.unbound == []


def replace_ids(body: Any, old: str, new: str) -> Any:
    if isinstance(body, dict):
        return {name: replace_ids(value, old, new) for name, value in body.items()}
    if isinstance(body, list):
        return [replace_ids(value, old, new) for value in body]
    return new if body == old else body


async def test_names_are_taken_once_in_each_tenant(scene: Scene) -> None:
    """Also the key of a request that may come twice."""
    slugs = []
    for client in (scene.owner, scene.rival):
        created = await client.post("/api/projects", json={"title": "Waves", "slug": "waves"})
        slugs.append(created.json().get("slug"))
    assert slugs == ["waves", "waves"]
    body, key = {"script": "hi", "persona": "nova"}, {"Idempotency-Key": "one-and-the-same"}
    answers = [
        await client.post("/api/renders", json=body, headers=key) for client in (scene.owner, scene.rival)
    ]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_the_agent_and_its_tools_know_nothing_of_it(scene: Scene, services: Services) -> None:
    """By conversation, and by a call that no request brings."""
    for text in ("list my videos", "list my projects", "which personas are there", "where is my video"):
        answer = await scene.rival.post("/api/chat", json={"message": text})
        assert answer.status_code == 200, answer.text
        assert not any(
            reported in answer.text for reported in (scene.things["render_id"], "Secret tides", "Ada")
        ), text
    calls = McpCalls(services.brain.toolset, services.tool_services, services.database)
    ada, eve = (Principal(f"key_{name}", name, "admin", "key", tenant=name) for name in (OWNER, RIVAL))
    shown = {"render": scene.things["render_id"]}
    assert not (await calls.call(ada, "show_render", shown)).is_error
    refused = await calls.call(eve, "show_render", shown)
    assert refused.is_error and refused.structured_content["code"] == "render.not_found"
    machines = await calls.call(eve, "list_machines", {})
    assert machines.is_error and machines.structured_content["code"] == "policy.forbidden"
    assert scene.statements.unbound == []


async def test_events_are_told_to_their_tenant(scene: Scene, services: Services) -> None:
    readers = {
        tenant: EventReader(
            Principal("key_x", "x", "admin", "key", tenant=tenant),
            services.brain.sessions,
            services.decisions,
        )
        for tenant in (OWNER, RIVAL, DEFAULT_TENANT)
    }
    rooms: dict[str, set[str]] = {tenant: set() for tenant in readers}
    for event in await services.events.read(limit=1000):
        for tenant, reader in readers.items():
            if await reader.may_see(event):
                rooms[tenant].add(event.stream.partition(":")[0])
    assert rooms[OWNER] >= {"render", "session", "approvals", "keys"}
    assert rooms[RIVAL] == {"keys"}, "its own key"
    assert rooms[DEFAULT_TENANT] == {"keys"}, "the operator lets them in"


def test_every_table_has_a_tenant_or_a_reason() -> None:
    all_tables()
    mappers = [one for one in Base.registry.mappers if not one.class_.__module__.startswith("provisioning")]
    owned = {one.local_table.name for one in mappers if issubclass(one.class_, TenantOwned)}
    assert len(owned) > 15
    others = {one.local_table.name for one in mappers} - owned
    assert others == SHARED.keys(), "make it TenantOwned, or say in SHARED why it is not"


def test_only_the_studio_has_sql_on_tables_of_tenants() -> None:
    """Checks that text, which a session can neither filter nor refuse, has one room to be looked for in."""
    rooms = ("agent", "app", "farm", "policy", "provisioning_api", "soundstage")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py") if ".venv" not in path.parts]
    assert len(files) > 300
    for path in files:
        nodes = ast.walk(ast.parse(path.read_text()))
        imported = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        reaches = [name for name in imported if name.startswith("studio") and name.endswith(".models")]
        assert reaches == [], path


def test_a_key_of_a_tenant_is_made_at_the_prompt(cli: Any) -> None:
    created = cli("keys", "create", "editors", "--tenant", "acme", "--role", "editor", "--json")
    assert created.code == 0, created.err
    assert (created.json["tenant"], created.json["role"]) == ("acme", "editor")
    assert cli("keys", "create", "ours", "--json").json["tenant"] == "default"
    assert {key["tenant"] for key in cli("keys", "list", "--json").json} >= {"acme", "default"}
    assert "acme" in cli("keys", "list").out
    bad = cli("keys", "create", "editors", "--tenant", "../acme")
    assert bad.code != 0 and "tenant" in bad.err
