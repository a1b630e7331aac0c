"""What no client of good will sends to the MCP server: no answer is a fault of ours, and it lives on."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
from mcp_client import OPENING
from mcp_servers import McpAddress, mcp_address
from socket_servers import WAIT_S
from strange_messages import bodies

from agent.mcp import McpEndpoint
from agent.mcp.calls import McpCalls
from app.composition import Services
from policy import Principal
from soundstage.errors import Unavailable

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
VERSIONS = ("2025-06-18", "2024-11-05", "2026-07-28", "1999-01-01", "", "x" * 5000, "é")


@pytest.fixture
async def address(services: Services) -> AsyncIterator[McpAddress]:
    async with mcp_address(services) as created:
        yield created


@pytest.mark.parametrize("seed", range(2))
async def test_no_message_makes_a_fault_and_the_server_lives(address: McpAddress, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    key = await address.key("editor")
    met: set[int] = set()
    authorised = {**ACCEPT, "Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=WAIT_S) as http:
        opened = await http.post(address.url, json=OPENING, headers=authorised)
        session_id = opened.headers["mcp-session-id"]
        for body in bodies(dice):
            headers = dict(ACCEPT) if dice.random() < 0.9 else {}
            headers["Authorization"] = f"Bearer {key}"
            if dice.random() < 0.5:
                headers["mcp-protocol-version"] = dice.choice(VERSIONS).encode("latin-1").decode("latin-1")
            if dice.random() < 0.6:
                headers["mcp-session-id"] = dice.choice([session_id] * 6 + ["", "nobody", "x" * 3000])
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = await http.post(address.url, content=body, headers=sent)
            met.add(answer.status_code)
            assert answer.status_code < 500, (body[:300], headers, answer.text[:300])

    assert {200, 202, 400, 404} <= met
    async with address.client(key) as client:
        assert not (await client.call_tool("list_personas", {})).is_error


async def test_a_body_that_is_too_large_is_refused(address: McpAddress) -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "' + b"x" * (5 << 20) + b'"}}'
    key = await address.key("editor")
    async with httpx.AsyncClient(timeout=WAIT_S) as http:
        try:
            answer = await http.post(
                address.url, content=body, headers={**ACCEPT, "Authorization": f"Bearer {key}"}
            )
            assert answer.status_code == 413
        except httpx.NetworkError:
            pass  # the answer came, and the connection was closed before all of it was sent
    async with address.client(key) as client:
        assert not (await client.call_tool("list_personas", {})).is_error


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD"])
async def test_other_methods_are_not_there(address: McpAddress, method: str) -> None:
    headers = {**ACCEPT, "Authorization": f"Bearer {await address.key('editor')}"}
    async with httpx.AsyncClient(timeout=WAIT_S) as http:
        answer = await http.request(method, address.url, headers=headers)

    assert answer.status_code == 405


async def test_before_it_serves_it_says_so(services: Services) -> None:
    calls = partial(McpCalls, services.brain.toolset, services.tool_services, services.database)
    endpoint = McpEndpoint(calls)
    with pytest.raises(Unavailable, match="not running"):
        await endpoint.answer(Principal.local_admin())
