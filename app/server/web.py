"""The web application: every room's routes under one policy; made by the server process and by tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware

from agent import routes as chat_routes
from agent.approvals import routes as approval_routes
from agent.dossiers import routes as compile_routes
from agent.dossiers.registry import DossierRegistry
from agent.event_stream import event_router
from agent.live.routes import live_router
from agent.mcp import McpEndpoint, mcp_router
from agent.mcp_servers import routes as mcp_server_routes
from agent.memory import routes as memory_routes
from agent.registry import routes as agent_routes
from agent.registry.service import AgentRegistry
from agent.snapshots import routes as snapshot_routes
from agent.socket import socket_router
from agent.status import status_router
from agent.transcription import routes as transcription_routes
from agent.triggers import routes as trigger_routes
from agent.voice.routes import voice_router
from app.archive import BackupWorkspace
from app.composition import Services, run_background_workers, run_database, turn_limits
from app.doctor.service import DoctorService
from app.page.fallback import PageFallback
from app.page.routes import BuiltPage, page_router
from app.server import cluster_routes, farm_routes
from app.server.agents_key import key_looked_at
from app.server.first_run_routes import first_run_router
from app.server.https import authority_router
from app.server.installation_routes import installation_router
from app.server.log_routes import logs_router
from app.server.settings_routes import settings_router
from app.server.video_authority import video_authority_router
from farm.transfer import TRANSFER_PREFIX, TransferAdmission, transfer_router
from policy import Admission, install_policy, public, require_permission
from policy.audit import routes as audit_routes
from policy.decisions import routes as policy_test_routes
from policy.decisions.testing import PolicyTest
from soundstage.compression import Compression
from soundstage.errors import NotFound, install_error_handlers
from soundstage.http.loops import install_loop_refusal
from soundstage.routers import add_routers
from soundstage.settings import Settings
from soundstage.telemetry import install_telemetry, metrics_router
from soundstage.tracing.routes import traces_router
from studio.routes import routers

if TYPE_CHECKING:
    from agent.mcp.calls import McpCalls

DESCRIPTION = "A sentence goes in, a video of somebody saying it comes out."
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Last-Event-ID",
    "traceparent",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
CORS_ANSWER_HEADERS = (
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Asset",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Total-Count",
)


# Swagger UI writes styles into its elements; scripts stay ours alone.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = MappingProxyType({"Content-Security-Policy": CONTENT_POLICY, "X-Content-Type-Options": "nosniff"})

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Soundstage API</title>
  <link rel="icon" href="/page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
VENDORED = MappingProxyType({"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"})


def docs_router() -> APIRouter:
    """Returns the OpenAPI page at /docs, complete without any outside host."""
    reason = "the description of the API is no secret; the API is guarded"
    router = APIRouter(include_in_schema=False, dependencies=[Depends(public(reason))])

    @router.get("/docs")
    async def page() -> Response:
        return Response(PAGE, media_type="text/html; charset=utf-8", headers=dict(HEADERS))

    @router.get("/docs/{name}")
    async def part(name: str) -> Response:
        if name == "start.js":
            return Response(START, media_type="text/javascript; charset=utf-8", headers=dict(HEADERS))
        media_type = VENDORED.get(name)
        if media_type is None:
            raise NotFound(
                "page.not_found", f"The API page has no file {name!r}.", hint="Open /docs instead."
            )
        content = (files("fastapi_offline") / "static" / name).read_bytes()
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers=dict(HEADERS))

    return router


def create_app(services: Services) -> FastAPI:
    """Routes, policy, errors and telemetry. Starting it migrates the database and starts the dispatcher."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(BackupWorkspace(services.settings.state_dir).sweep)
        async with (
            run_database(services),
            run_background_workers(services, serving=True),
            services.studio.outgoing,
            mcp.serving(),
            key_looked_at(services.settings),
        ):
            try:
                yield
            finally:
                await doctor.close()
                await services.turns.close()

    def mcp_calls() -> McpCalls:
        from agent.mcp.calls import McpCalls

        return McpCalls(services.brain.toolset, services.tool_services, services.database)

    mcp = McpEndpoint(mcp_calls)
    doctor = DoctorService.of(services.settings, services.database, services.studio.library)
    app = FastAPI(
        title="Soundstage",
        version=version("soundstage"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    library, studio, settings = services.studio.library, services.studio, services.settings
    dossiers = DossierRegistry(library, services.database, studio.persona_files)
    for name in ("studio", "brain", "watch", "turns", "experts", "decisions", "audit", "memory", "snapshots",
                 "mcp_servers", "transcription"):  # fmt: skip
        setattr(app.state, name, getattr(services, name))
    app.state.triggers = services.tool_services.triggers
    app.state.policy_test = PolicyTest(
        services.database, services.policy.keys, services.policy.decider, services.audit
    )
    app.state.farm = farm_routes.FarmCalls(settings, services.tool_services)
    app.state.cluster = cluster_routes.ClusterCalls(services.tool_services, services.brain.toolset)
    app.state.dossiers = dossiers
    app.state.agents = AgentRegistry(library, studio.persona_health, dossiers, studio.persona_validation)
    public_url = None if settings.http.public_url is None else str(settings.http.public_url)
    page = BuiltPage(
        https_port=_https_port(settings), connects_to=services.voice_transports.browser_origins()
    )
    add_routers(
        app,
        *routers(),
        chat_routes.router,
        approval_routes.router,
        audit_routes.router,
        socket_router(services.brain, services.turns),
        memory_routes.router,
        snapshot_routes.router,
        trigger_routes.router,
        transcription_routes.router,
        mcp_server_routes.router,
        status_router(
            services.brain.sessions,
            services.memory,
            services.snapshots,
            studio.renders,
            services.mcp_servers,
            tools=len(services.brain.toolset.tools),
            has_model=turn_limits(settings) is not None,
        ),
        policy_test_routes.router,
        event_router(services.events, services.brain.sessions, services.decisions),
        farm_routes.router,
        cluster_routes.router,
        installation_router(
            settings,
            services.database,
            services.blobs,
            services.own_personas,
            services.audit,
            services.health,
        ),
        settings_router(settings, doctor),
        first_run_router(studio.first_run, settings, services.policy),
        compile_routes.router,
        agent_routes.router,
        live_router(services.live, public_url),
        voice_router(
            services.voice,
            services.broadcasts,
            services.voice_transports,
            settings.state_dir,
            public_url,
        ),
        mcp_router(mcp),
        page_router(page),
        authority_router(settings),
        video_authority_router(settings),
        docs_router(),
        metrics_router(services.metrics, [Depends(require_permission("metrics:read"))]),
        logs_router(settings.state_dir),
        traces_router(services.traces, [Depends(require_permission("trace:read"))]),
    )
    own_tokens: dict[str, Admission] = {}
    if (transfer := services.farm.transfer) is not None:
        add_routers(app, transfer_router(transfer, upload_mib=settings.limits.upload_mib))
        own_tokens[TRANSFER_PREFIX] = TransferAdmission(transfer)
    install_policy(
        app,
        services.policy,
        public={"/openapi.json": "the description of the API is no secret"},
        own_tokens=own_tokens,
    )
    install_error_handlers(app)
    install_loop_refusal(app)
    install_telemetry(app)
    app.router.default = PageFallback(app, page)
    app.add_middleware(Compression)
    if settings.http.cors_origins:
        # Outermost: a browser's preflight carries no key.
        app.add_middleware(CORSMiddleware, **_cors(settings.http.cors_origins))
    return app


def _https_port(settings: Settings) -> int | None:
    """Returns where browsers are sent that came over plain HTTP; None without TLS of our own, or behind a
    proxy.
    """
    return settings.https_port if settings.http.tls == "self" and settings.http.public_url is None else None


def _cors(origins: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of Starlette's CORSMiddleware for an allow-list of origins.

    Without credentials: a foreign page sends an API key, never this server's cookie.
    """
    return {
        "allow_origins": [origin.rstrip("/") for origin in origins],
        "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        "allow_headers": list(CORS_REQUEST_HEADERS),
        "expose_headers": list(CORS_ANSWER_HEADERS),
        "allow_credentials": False,
        "max_age": 600,
    }
