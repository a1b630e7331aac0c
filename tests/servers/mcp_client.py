"""A client of the official SDK over streamable HTTP, as a program of somebody else makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

OPENING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
"""The first message of a session."""
PATIENCE_S = 240


@asynccontextmanager
async def mcp_client(url: str, key: str | None, **options: Any) -> AsyncIterator[Client]:
    """Connected to an endpoint; without a key it says nothing of who it is."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http,
        Client(streamable_http_client(url, http_client=http), **options) as client,
    ):
        yield client


async def answered(client: Client, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
    """What a call gives in the end: on a busy machine there is a ticket for it first."""
    result = await client.call_tool(tool, arguments)
    while (told := result.structured_content or {}).get("status") == "working" and "call_id" in told:
        result = await client.call_tool("show_call", {"call_id": told["call_id"]})
    return result
