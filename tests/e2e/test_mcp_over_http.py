"""`/mcp` of the server that people start, with the official SDK's client over streamable HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError
from mcp_client import OPENING, answered, mcp_client
from ready import told_until_ready

WAIT_S = 240


@dataclass(frozen=True)
class Server:
    """A server that trusts nobody without a key, and the key of its first start."""

    url: str
    key: str

    def call(self, method: str, path: str, key: str | None = None, body: Any = None) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {key or self.key}",
            "Accept": "application/json, text/event-stream",
        }
        return httpx.request(
            method, self.url + path, headers=headers, timeout=WAIT_S, trust_env=False, json=body
        )

    def new_key(self, name: str, role: str) -> dict[str, Any]:
        made: dict[str, Any] = (
            self.call("POST", "/api/keys", body={"name": name, "role": role}).raise_for_status().json()
        )
        return made

    @asynccontextmanager
    async def client(self, key: str) -> AsyncIterator[Client]:
        async with mcp_client(f"{self.url}/mcp", key) as client:
            yield client


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, installation: Any) -> Iterator[Server]:
    home = installation(tmp_path_factory.mktemp("mcp"))
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_PROVISIONING__ENABLED="false",
        SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]',
    )
    told = told_until_ready(process, home.log)
    yield Server(told["url"], told["key"])
    process.terminate()
    process.wait(60)


async def test_a_client_lists_tools_reads_and_gets_the_id_that_the_api_knows(guarded: Server) -> None:
    async with guarded.client(guarded.new_key("desk", "operator")["key"]) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        personas = await answered(client, "list_personas", {})
        ticket = await answered(client, "make_render", {"script": "The tide comes in.", "persona": "nova"})
    assert {"list_personas", "make_render", "show_render", "snapshots"} <= names
    assert "nova" in {one["id"] for one in personas.structured_content["personas"]}
    render_id = ticket.structured_content["render_id"]
    assert guarded.call("GET", f"/api/renders/{render_id}").raise_for_status().json()["id"] == render_id


async def test_a_role_narrows_what_a_client_sees_and_may_do(guarded: Server) -> None:
    async with guarded.client(guarded.new_key("eve", "viewer")["key"]) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        refused = await answered(client, "make_render", {"script": "Hello", "persona": "nova"})
    assert "list_personas" in names and "make_render" not in names
    assert refused.is_error and "render:create" in refused.structured_content["message"]


def test_no_key_a_wrong_one_and_a_revoked_one_open_no_session(guarded: Server) -> None:
    made = guarded.new_key("gone", "operator")
    assert guarded.call("POST", "/mcp", made["key"], OPENING).status_code == 200
    guarded.call("DELETE", f"/api/keys/{made['id']}").raise_for_status()
    for key in ("0" * 64, made["key"]):
        answer = guarded.call("POST", "/mcp", key, OPENING)
        assert answer.status_code == 401 and answer.json()["code"].startswith("auth."), answer.text
    nobody = httpx.post(f"{guarded.url}/mcp", json=OPENING, timeout=WAIT_S, trust_env=False)
    assert nobody.status_code == 401


async def test_a_key_that_is_revoked_ends_a_session_that_is_open(guarded: Server) -> None:
    made = guarded.new_key("brief", "operator")
    async with guarded.client(made["key"]) as client:
        assert not (await answered(client, "list_personas", {})).is_error
        guarded.call("DELETE", f"/api/keys/{made['id']}").raise_for_status()
        with pytest.raises(MCPError, match="error response"):
            await answered(client, "list_personas", {})
