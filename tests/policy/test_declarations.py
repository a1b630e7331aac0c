from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import WebSocketDenialResponse

from policy import Policy, check_routes, install_policy, list_route_grants, public, require_permission
from policy.keys.schemas import CreatedKey
from policy.sessions import COOKIE

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def silent(app: FastAPI) -> list[str]:
    return [str(grant) for grant in list_route_grants(app) if not grant.declared]


def test_every_route_of_ours_declares_a_permission_or_a_reason(app: FastAPI) -> None:
    declared = {str(grant): (grant.permissions, grant.public_reason) for grant in list_route_grants(app)}
    assert declared["POST /api/keys"] == (("key:create",), None)
    assert declared["GET /api/keys/{key_id}"] == (("key:read",), None)
    assert declared["POST /api/login"] == ((), "nobody is known before they log in")
    assert declared["ANY /api/live"] == (("event:read",), None)
    assert declared["GET,HEAD /docs"] == ((), "the API is no secret")
    assert silent(app) == []
    check_routes(app)


def test_a_route_without_a_declaration_is_found_wherever_it_is(app: FastAPI, tmp_path: Path) -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @inner.get("/x")
    async def forgotten() -> None: ...

    @inner.websocket("/ws")
    async def forgotten_socket() -> None: ...

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    app.mount("/files", StaticFiles(directory=tmp_path))
    app.mount("/sub", FastAPI(openapi_url=None, routes=[Route("/page", answer)]))
    app.router.routes.append(Mount("/group", routes=[Route("/page", answer, methods=["POST"])]))
    assert sorted(silent(app)) == [
        "ANY /api/outer/inner/ws",
        "ANY /files",
        "GET /api/outer/inner/x",
        "GET,HEAD /sub/page",
        "POST /group/page",
    ]
    with pytest.raises(RuntimeError, match="/api/outer/inner/x"):
        check_routes(app)


def test_a_router_can_declare_for_all_its_routes(app: FastAPI) -> None:
    router = APIRouter(prefix="/all", dependencies=[Depends(require_permission("project:read"))])

    @router.get("/x")
    async def read() -> None: ...

    app.include_router(router)
    assert silent(app) == []


def test_a_permission_deep_in_the_dependencies_counts(app: FastAPI) -> None:
    async def render(principal: object = Depends(require_permission("render:read"))) -> str:
        return "render"

    @app.get("/deep")
    async def deep(found: str = Depends(render)) -> str:
        return found

    (grant,) = [grant for grant in list_route_grants(app) if grant.path == "/deep"]
    assert grant.permissions == ("render:read",)


def test_the_api_reference_says_what_each_route_needs(app: FastAPI) -> None:
    document = app.openapi()
    created = document["paths"]["/api/renders"]["post"]
    assert (created["x-permissions"], created["security"]) == (["render:create"], [{"apiKey": []}])
    assert "Needs `render:create`." in created["description"]
    assert {"401", "403"} <= set(created["responses"])
    login = document["paths"]["/api/login"]["post"]
    assert "security" not in login and "401" not in login["responses"]
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert app.openapi() is document


def test_mounted_files_are_public_only_with_a_reason(policy: Policy, tmp_path: Path) -> None:
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=tmp_path))
    install_policy(app, policy, public={"/static": "the page's own files"})
    check_routes(app)


def test_a_public_route_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        public("  ")


async def test_an_application_with_a_silent_route_answers_nothing(app: FastAPI) -> None:
    app.router.routes.append(Route("/forgotten", answer))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        for path in ("/forgotten", "/api/open"):
            with pytest.raises(RuntimeError, match="/forgotten"):
                await http.get(path)


def test_an_application_with_a_silent_route_does_not_start(app: FastAPI) -> None:
    app.router.routes.append(Route("/forgotten", answer))
    with pytest.raises(RuntimeError, match="/forgotten"), TestClient(app):
        pytest.fail("it has started")


def test_a_complete_application_starts_and_stops(policy: Policy) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI):  # type: ignore[no-untyped-def]
        happened.append("start")
        yield
        happened.append("stop")

    app = FastAPI(openapi_url=None, lifespan=lifespan)
    install_policy(app, policy)
    with TestClient(app):
        assert happened == ["start"]
    assert happened == ["start", "stop"]


async def test_a_websocket_is_guarded_like_a_route(
    app: FastAPI, policy: Policy, make_key: Callable[..., Awaitable[CreatedKey]]
) -> None:
    created = await make_key("viewer")
    cookie = {"Cookie": f"{COOKIE}={policy.sessions.sign(created.id)}"}
    await asyncio.to_thread(_ask_websocket, app, created.id, cookie)


def _ask_websocket(app: FastAPI, key_id: str, cookie: dict[str, str]) -> None:
    http = TestClient(app, client=("127.0.0.1", 1))
    url = "ws://127.0.0.1:8000/api/live"
    with http.websocket_connect(url, headers=cookie) as socket:
        assert socket.receive_text() == key_id
    for headers, status in (
        (cookie | {"Origin": "https://evil.example"}, 403),
        ({}, 401),
        ({"Authorization": "Bearer x"}, 401),
    ):
        with pytest.raises(WebSocketDenialResponse) as refused, http.websocket_connect(url, headers=headers):
            pytest.fail("it has opened")
        assert refused.value.status_code == status


async def test_keys_are_managed_over_http(client: Client, make_key: Callable[..., object]) -> None:
    opener: CreatedKey = await make_key("a2a-admin")  # type: ignore[misc]
    async with client(key=opener.key) as http:
        created = await http.post(
            "/api/keys", json={"name": "agent", "role": "editor", "scopes": ["render:*"]}
        )
        assert created.status_code == 201
        key_id, key = created.json()["id"], created.json()["key"]
        assert (await http.post("/api/keys", json={"name": "x", "role": "admin"})).json()[
            "code"
        ] == "key.escalation"
        assert (await http.post("/api/keys", json={"name": "x", "role": "root"})).status_code == 422
        naive = {"name": "x", "expires_at": "2030-01-01T00:00:00"}
        assert (await http.post("/api/keys", json=naive)).json()["errors"][0]["path"] == "body.expires_at"
        listed = (await http.get("/api/keys")).json()
        assert [view["name"] for view in listed] == ["a test", "agent"]
        assert all("key" not in view and "sha256" not in view for view in listed)
        rotated = (await http.post(f"/api/keys/{key_id}/rotate?overlap_hours=0")).json()
        assert rotated["key"] != key
        assert (await http.get(f"/api/keys/{key_id}")).json()["state"] == "expired"
        ended = await http.delete(f"/api/keys/{rotated['id']}")
        assert ended.json()["state"] == "revoked"
        assert (await http.get("/api/keys/key_none")).json()["code"] == "key.not_found"
    for worthless in (key, rotated["key"]):
        async with client(key=worthless) as http:
            assert (await http.get("/api/renders")).status_code == 401


async def test_an_editor_manages_no_keys(client: Client, make_key: Callable[..., object]) -> None:
    editor: CreatedKey = await make_key("editor")  # type: ignore[misc]
    async with client(key=editor.key) as http:
        request = [
            await http.get("/api/keys"),
            await http.get(f"/api/keys/{editor.id}"),
            await http.post("/api/keys", json={"name": "x"}),
            await http.post(f"/api/keys/{editor.id}/rotate"),
            await http.delete(f"/api/keys/{editor.id}"),
        ]
    assert [found.status_code for found in request] == [403] * 5
