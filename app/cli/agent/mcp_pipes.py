"""Serves the tools of `soundstage mcp` in this process, or forwards messages to a server."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.server.stdio import stdio_server

from agent.mcp.calls import McpCalls
from agent.mcp.server import serve_stdio
from app.cli.connection import connect, tls_trust
from app.cli.saved_logins import Login
from app.cli.studio_api import TIMEOUT_S
from app.composition import open_services, run_background_workers
from policy import Principal
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging

KEY_LASTS = timedelta(days=1)
"""The longest that one run of an MCP client goes on with a key of its own."""


async def serve(settings: Settings, role: str) -> None:
    """Serve the tools over the state of this machine, until standard input ends."""
    # Standard output belongs to the protocol.
    configure_logging(settings.log.level, settings.log.format, sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    principal = Principal(id="local:mcp", name="mcp", role=role, kind="local")
    async with open_services(settings) as services, run_background_workers(services):
        await serve_stdio(
            McpCalls(services.brain.toolset, services.tool_services, services.database), principal
        )


async def forward(login: Login, role: str) -> None:
    """Hand each message on to a server and back, with the rights of `role`, until standard input ends."""
    async with (
        _key_of(login, role) as key,
        httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(TIMEOUT_S, read=None),
            trust_env=False,
            verify=tls_trust(login.authority),
        ) as client,
        streamable_http_client(f"{login.url}/mcp", http_client=client) as (answers, questions, *_),
        stdio_server() as (incoming, outgoing),
        anyio.create_task_group() as both,
    ):

        async def pass_on(source: Any, target: Any) -> None:
            async for message in source:
                if isinstance(message, Exception):
                    raise message
                await target.send(message)
            # One side has ended: so has the conversation.
            both.cancel_scope.cancel()

        both.start_soon(pass_on, answers, outgoing)
        both.start_soon(pass_on, incoming, questions)


@asynccontextmanager
async def _key_of(login: Login, role: str) -> AsyncIterator[str]:
    """A key with no more rights than `role`, which ends with the block."""
    async with connect(login) as api:
        if (await api.get("/api/me"))["role"] == role:
            yield login.key
            return
        until = datetime.now(UTC) + KEY_LASTS
        request = {"name": "soundstage mcp", "role": role, "expires_at": until.isoformat()}
        created = await api.post("/api/keys", request)
        try:
            yield created["key"]
        finally:
            with anyio.CancelScope(shield=True):
                await api.delete(f"/api/keys/{created['id']}")
