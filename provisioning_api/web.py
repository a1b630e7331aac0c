"""The web application of the provisioning process; made by the server process and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from policy import Policy, install_policy, require_permission
from provisioning_api.routes import routers
from provisioning_api.throttling import THROTTLED, Throttle
from provisioning_api.wiring import Provisioning
from soundstage.errors import install_error_handlers
from soundstage.http.loops import install_loop_refusal
from soundstage.routers import add_routers
from soundstage.telemetry import Metrics, install_telemetry, metrics_router

DESCRIPTION = "From power-on to ready: machines, enrolment, boot scripts and runs of Ansible."


def create_provisioning_app(
    services: Provisioning, policy: Policy, metrics: Metrics, *, prepare: Callable[[], Awaitable[None]]
) -> FastAPI:
    """`prepare` brings the database up to date; it is awaited when the application starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await prepare()
        try:
            async with services.working():
                yield
        finally:
            await policy.close()
            await policy.events.close()
            services.audit.close()
            await services.db.close()

    app = FastAPI(
        title="Soundstage provisioning",
        version=version("soundstage"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.provisioning = services
    add_routers(app, *routers(), metrics_router(metrics, [Depends(require_permission("metrics:read"))]))
    install_policy(
        app, policy, public={"/openapi.json": "the description of the API is no secret"}, keyless=THROTTLED
    )
    install_error_handlers(app)
    install_loop_refusal(app)
    app.add_middleware(Throttle, limits=services.request_limits, refusals=services.refusals)
    install_telemetry(app, metrics)
    return app
