"""The web application: every room's routes under one policy; made by the server process and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from agent.approvals.routes import approvals_router
from agent.dossiers.registry import DossierRegistry
from agent.dossiers.routes import compile_router
from agent.happenings import happenings_router
from agent.live.routes import live_router
from agent.mcp import McpCalls, McpEndpoint, mcp_router
from agent.memory.routes import memory_router
from agent.routes import chat_router
from agent.snapshots.routes import snapshot_router
from agent.socket import socket_router
from agent.status import status_router
from app.agents_key import key_looked_at
from app.api_docs import docs_router
from app.composition import Services, asks_models, ready, working
from app.farm_view import farm_view_router
from app.page.routes import page_router
from farm.transfer import TRANSFER_PREFIX, TransferAdmission, transfer_router
from policy import Admission, install_policy, require_permission
from policy.audit.routes import audit_router
from soundstage.errors import install_error_handlers
from soundstage.telemetry import install_telemetry, metrics_router
from studio.routes import routers

DESCRIPTION = "A sentence goes in, a video of somebody saying it comes out."


def create_app(services: Services) -> FastAPI:
    """Routes, policy, errors and telemetry. Starting it migrates the database and starts the dispatcher."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with (
            ready(services),
            working(services, serving=True),
            services.studio.outgoing,
            mcp.serving(),
            key_looked_at(services.settings),
        ):
            try:
                yield
            finally:
                await services.answering.close()

    mcp = McpEndpoint(McpCalls(services.brain.toolset, services.doors, services.database))
    app = FastAPI(
        title="Soundstage",
        version=version("soundstage"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.studio = services.studio
    for router in routers():
        app.include_router(router)
    app.include_router(chat_router(services.brain, services.watch, services.answering, services.experts))
    app.include_router(approvals_router(services.deciding))
    app.include_router(audit_router(services.audit))
    app.include_router(socket_router(services.brain, services.answering))
    app.include_router(memory_router(services.memory))
    app.include_router(snapshot_router(services.snapshots))
    app.include_router(
        status_router(
            services.brain.sessions,
            services.memory,
            services.snapshots,
            services.studio.renders,
            tools=len(services.brain.toolset.tools),
            has_model=asks_models(services.settings),
        )
    )
    app.include_router(happenings_router(services.events, services.brain.sessions, services.deciding))
    app.include_router(farm_view_router(services.settings))
    public_url = services.settings.http.public_url
    app.include_router(compile_router(DossierRegistry(services.studio.library)))
    app.include_router(live_router(services.live, str(public_url) if public_url else None))
    app.include_router(mcp_router(mcp))
    app.include_router(page_router())
    app.include_router(docs_router())
    app.include_router(metrics_router(services.metrics, [Depends(require_permission("metrics:read"))]))
    own_tokens: dict[str, Admission] = {}
    if (transfer := services.farm.transfer) is not None:
        app.include_router(transfer_router(transfer, upload_mib=services.settings.limits.upload_mib))
        own_tokens[TRANSFER_PREFIX] = TransferAdmission(transfer)
    install_policy(
        app,
        services.policy,
        public={"/openapi.json": "the description of the API is no secret"},
        own_tokens=own_tokens,
    )
    install_error_handlers(app)
    install_telemetry(app, services.metrics)
    return app
