"""A real server with the MCP endpoint, and clients of the official SDK for it; for the tests of agent/mcp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from mcp import Client
from mcp_client import mcp_client
from socket_servers import on_loopback

from agent.mcp import McpEndpoint, mcp_router
from agent.mcp.calls import McpCalls
from agent.mcp.running import CallLimits
from app.composition import Services
from policy import Principal, install_policy
from policy.keys.schemas import KeyRequest
from soundstage.errors import install_error_handlers


@dataclass(frozen=True)
class McpAddress:
    url: str
    services: Services

    async def key(self, role: str, name: str = "desk") -> str:
        """A new key with a role."""
        async with self.services.database.transaction() as session:
            created = await self.services.policy.keys.create(
                session, KeyRequest(name=name, role=role), Principal.local_admin()
            )
        return created.key

    @asynccontextmanager
    async def client(self, key: str | None, **options: Any) -> AsyncIterator[Client]:
        """A connected client, as a program of somebody else would make it."""
        async with mcp_client(self.url, key, **options) as client:
            yield client


@asynccontextmanager
async def mcp_address(services: Services, limits: CallLimits | None = None) -> AsyncIterator[McpAddress]:
    """The endpoint alone, on a free port of loopback."""
    calls = partial(McpCalls, services.brain.toolset, services.tool_services, services.database, limits)
    endpoint = McpEndpoint(calls)
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(mcp_router(endpoint))
    install_policy(app, services.policy, public={"/openapi.json": "a test"})
    install_error_handlers(app)
    async with endpoint.serving(), on_loopback(app) as host:
        yield McpAddress(f"http://{host}/mcp", services)
