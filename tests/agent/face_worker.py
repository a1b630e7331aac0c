"""A server whose only voice worker is the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from local_login import bearer, log_in_locally
from socket_servers import on_loopback
from waiting import eventually_async
from websockets.asyncio.client import ClientConnection, connect

from agent.voice.worker_token import worker_token
from app.composition import Services
from app.server.web import create_app

WAIT_S = 60
Served = tuple[httpx.AsyncClient, str, dict[str, str], ClientConnection]


@asynccontextmanager
async def serving(
    services: Services,
) -> AsyncIterator[Served]:
    """A server with a worker: the client of a person, the address of workers, a worker's headers, and the
    socket on which it is asked to serve.
    """
    app, headers = create_app(services), await log_in_locally(services.policy)
    token = bearer(worker_token(services.settings.state_dir))
    async with on_loopback(app) as address, AsyncExitStack() as stack:
        workers = f"{address}/api/voice/workers"
        control = connect(f"ws://{workers}", additional_headers=token)
        control_socket = await stack.enter_async_context(control)
        # The handshake ends before the server counts the worker.
        await eventually_async(lambda: services.voice.status().workers == 1, "the worker")
        yield (
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=WAIT_S)
            ),
            workers,
            token,
            control_socket,
        )
        await services.voice.close()


async def message_of(worker: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        while (message := json.loads(await worker.recv()))["type"] != kind:
            continue
    found: dict[str, Any] = message
    return found
