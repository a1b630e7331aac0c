"""A real server on a free port of loopback, with the sockets of chat and live sessions; for tests of both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import websockets.asyncio.client
from fastapi import FastAPI
from local_login import KEY, bearer, log_in_locally
from scripted_model import Script, scripted_model

from agent.live.routes import live_router
from agent.socket import socket_router
from app.composition import Services, open_services
from policy import install_policy
from soundstage.errors import install_error_handlers
from soundstage.routers import add_routers
from soundstage.settings import Settings

WAIT_S = 60


def connect(url: str, **options: Any) -> websockets.asyncio.client.connect:
    """Connect as the user of this machine, unless `additional_headers` say as whom."""
    return websockets.asyncio.client.connect(url, **{"additional_headers": bearer(KEY), **options})


@asynccontextmanager
async def on_loopback(app: FastAPI) -> AsyncIterator[str]:
    """The address (`127.0.0.1:PORT`) at which the application is served."""
    port = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[port]))
    try:
        yield f"127.0.0.1:{port.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(WAIT_S):
            await serving


@asynccontextmanager
async def listening(settings: Settings, *script: Script) -> AsyncIterator[tuple[str, Services]]:
    """The start of both sockets' URLs; a scripted model answers what the grammar does not."""
    async with scripted_model(*script) as model:
        near = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": near}})
        async with open_services(chosen) as services:
            await log_in_locally(services.policy)
            app = FastAPI(docs_url=None, redoc_url=None)
            add_routers(app, socket_router(services.brain, services.turns))
            add_routers(app, live_router(services.live))
            install_policy(app, services.policy, public={"/openapi.json": "a test"})
            install_error_handlers(app)
            async with on_loopback(app) as address:
                try:
                    yield f"ws://{address}", services
                finally:
                    await services.turns.close()
                    await services.live.close()
