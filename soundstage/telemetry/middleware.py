"""The outermost ASGI layer: trace id, access log and metrics of every request."""

from __future__ import annotations

import time
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundstage.errors import problem_response, unexpected_error
from soundstage.telemetry.logs import get_logger
from soundstage.telemetry.metrics import Metrics
from soundstage.tracing import parse_traceparent, trace

# Asked every few seconds by machines; as log lines they would bury the rest.
QUIET_PATHS = frozenset({"/metrics", "/api/health"})


def install_telemetry(app: FastAPI, metrics: Metrics) -> None:
    """Wraps `app`. Call it last: middleware added last stands outermost and so sees every answer."""
    app.add_middleware(TelemetryMiddleware, metrics=metrics)


class TelemetryMiddleware:
    """Plain ASGI, because a wrapper that buffers would break event streams and video ranges."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = get_logger("soundstage.http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # A caller that sends `traceparent` keeps its trace; nobody's trace runs on into the next request.
        given = parse_traceparent(Headers(scope=scope).get("traceparent"))
        with trace(given) as current, structlog.contextvars.bound_contextvars():
            await self._observed(scope, receive, send, current)

    async def _observed(self, scope: Scope, receive: Receive, send: Send, current: str) -> None:
        status, started = 500, False

        async def send_with_trace(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                MutableHeaders(scope=message).setdefault("X-Trace-Id", current)
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        method = scope.get("method", "WEBSOCKET")
        start = time.perf_counter()
        self._metrics.requests_running.inc()
        try:
            await self._app(scope, receive, send_with_trace)
        except Exception:
            self._log.exception("request failed unexpectedly", method=method, path=scope["path"])
            if started or scope["type"] != "http":
                # Too late for an answer: the server must cut the connection, or half a file would look whole.
                raise
            # Answered here, where the trace id is known. Further out it is not any more.

            await problem_response(unexpected_error())(scope, receive, send_with_trace)
        finally:
            seconds = time.perf_counter() - start
            route = _route_of(scope)
            self._metrics.requests_running.dec()
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(method, route).observe(seconds)
            if scope["path"] not in QUIET_PATHS:
                # The path only: a query string may carry what belongs into no log.
                self._log.info(
                    "request", method=method, path=scope["path"], status=status, ms=round(seconds * 1000, 1)
                )


def _route_of(scope: Scope) -> str:
    """The template of the route (`/api/renders/{id}`), never the path: ids would make a time series each."""
    route: Any = scope.get("route")
    return getattr(route, "path", None) or "unmatched"
