"""The web application: every room's routes under one policy; made by the server process and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from agent.approvals.routes import approvals_router
from agent.page.routes import page_router
from agent.routes import chat_router
from agent.socket import socket_router
from app.api_docs import docs_router
from app.composition import Services, working
from app.migrating import migrate
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
        await migrate(services.database, services.settings.state_dir)
        try:
            async with working(services, serving=True), services.studio.outgoing:
                try:
                    yield
                finally:
                    await services.answering.close()
        finally:
            await services.policy.decider.close()
            await services.database.close()

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
