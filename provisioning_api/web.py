"""The web application of the provisioning process; made by the server process and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI

from policy import Policy, health, install_policy, require_permission
from provisioning_api.announcements import routes as announcements
from provisioning_api.artefacts import routes as artefacts
from provisioning_api.audit import routes as audit
from provisioning_api.boot import routes as boot
from provisioning_api.callhome import routes as callhome
from provisioning_api.commands import routes as commands
from provisioning_api.decommission import routes as decommission
from provisioning_api.enrolment import ramdisk_routes
from provisioning_api.enrolment import routes as enrolment
from provisioning_api.healing import routes as healing
from provisioning_api.inventory import routes as inventory
from provisioning_api.machines import routes as machines
from provisioning_api.power import routes as power
from provisioning_api.reports import routes as reports
from provisioning_api.rules import routes as rules
from provisioning_api.runs import routes as runs
from provisioning_api.throttling import THROTTLED, Throttle
from provisioning_api.timeline import routes as timeline
from provisioning_api.wiring import Provisioning
from soundstage.errors import install_error_handlers
from soundstage.http.loops import install_loop_refusal
from soundstage.routers import add_routers
from soundstage.telemetry import Metrics, install_telemetry, metrics_router
from soundstage.tracing.export import recording
from soundstage.tracing.routes import traces_router
from soundstage.tracing.store import SpanStore

DESCRIPTION = "From power-on to ready: machines, enrolment, boot scripts and runs of Ansible."


def routers() -> tuple[APIRouter, ...]:
    """Returns all routers of this room."""
    # The artefacts before the scripts: `manifest.json` is no MAC address.
    rooms = (
        machines,
        announcements,
        enrolment,
        ramdisk_routes,
        reports,
        artefacts,
        boot,
        callhome,
        rules,
        runs,
        commands,
        power,
        timeline,
        decommission,
        healing,
        inventory,
        audit,
    )
    return (health.router, boot.agent_router, machines.events_router, *(room.router for room in rooms))


def create_provisioning_app(
    services: Provisioning,
    policy: Policy,
    metrics: Metrics,
    traces: SpanStore,
    *,
    prepare: Callable[[], Awaitable[None]],
) -> FastAPI:
    """`prepare` brings the database up to date; it is awaited when the application starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await prepare()
        try:
            with recording(traces):
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
    add_routers(app, traces_router(traces, [Depends(require_permission("trace:read"))]))
    install_policy(
        app, policy, public={"/openapi.json": "the description of the API is no secret"}, keyless=THROTTLED
    )
    install_error_handlers(app)
    install_loop_refusal(app)
    app.add_middleware(Throttle, limits=services.request_limits, refusals=services.refusals)
    install_telemetry(app)
    return app
