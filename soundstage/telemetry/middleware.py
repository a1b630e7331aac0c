"""The outermost ASGI layer: span, access log and metrics of every request."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundstage.errors import internal_error, problem_response
from soundstage.request_source import peer_address, serving
from soundstage.telemetry import metrics
from soundstage.telemetry.logs import get_logger
from soundstage.tracing import Kind, continue_trace, span

# Asked every few seconds by machines; as log lines they would bury the rest.
QUIET_PATHS = frozenset({"/metrics", "/api/health", "/health"})
QUIET = "soundstage.quiet"
"""A key of the scope: set by who records a refused request in another way than by a line of its own."""
UNMATCHED = "unmatched"
SHARED_PREFIX = "/shared/"
"""Behind it a path is the token of a link to a video, which belongs into no log."""
UNTRACED_PREFIX = "/api/farm/tasks/"
"""Workers report several times a second; spans of their own say what they did."""


def install_telemetry(app: FastAPI) -> None:
    """Wraps `app`. Call it last: middleware added last stands outermost and so sees every answer."""
    app.add_middleware(TelemetryMiddleware)


class TelemetryMiddleware:
    """Plain ASGI, because a wrapper that buffers would break event streams and video ranges."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = get_logger("soundstage.http")
        self._templates: dict[Any, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        source = peer_address(scope)
        bound = {} if source is None else {"source": source}
        with (
            # A caller that sends `traceparent` keeps its trace; no trace continues into the next request.
            continue_trace(Headers(scope=scope).get("traceparent")) as current,
            _span(scope) as recorded,
            serving(source),
            structlog.contextvars.bound_contextvars(**bound),
        ):
            await self._observed(scope, receive, send, current, recorded)

    async def _observed(
        self, scope: Scope, receive: Receive, send: Send, current: str, recorded: Span
    ) -> None:
        status, started = 500, False

        async def send_with_trace(message: Message) -> None:
            nonlocal status, started
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status, started = message["status"], True
                MutableHeaders(scope=message).setdefault("X-Trace-Id", current)
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        method = scope.get("method", "WEBSOCKET")
        start = time.perf_counter()
        metrics.REQUESTS_RUNNING.inc()
        try:
            await self._app(scope, receive, send_with_trace)
        except Exception:
            self._log.exception("request failed unexpectedly", method=method, path=loggable_path(scope))
            if started or scope["type"] != "http":
                # Too late for an answer: the server must cut the connection, or half a file would look whole.
                raise
            # Answered here, where the trace id is known; further out it is not any more.
            await problem_response(internal_error())(scope, receive, send_with_trace)
        finally:
            seconds = time.perf_counter() - start
            route = self._template(scope)
            # Clients can invent methods.
            label = method if method in metrics.METHODS else "OTHER"
            metrics.REQUESTS_RUNNING.dec()
            metrics.REQUESTS.inc(label, route, str(status))
            metrics.REQUEST_SECONDS.observe(seconds, label, route)
            recorded.update_name(f"{label} {route}")
            recorded.set_attributes({"http.route": route, "http.response.status_code": status})
            if status >= 500:
                recorded.set_status(StatusCode.ERROR)
            if scope["path"] not in QUIET_PATHS and QUIET not in scope:
                # The path only: a query string may carry what belongs into no log.
                self._log.info(
                    "request",
                    method=method,
                    path=loggable_path(scope),
                    status=status,
                    ms=round(seconds * 1000, 1),
                )

    def _template(self, scope: Scope) -> str:
        """`/api/renders/{id}`, never the path itself: every id would make a time series of its own."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
        if endpoint not in self._templates:
            for route in iter_route_contexts(scope["app"].routes):
                self._templates.setdefault(route.endpoint, route.path or UNMATCHED)
            # Inside a mounted application; that it was there is all that we know.
            self._templates.setdefault(endpoint, "mounted")
        return self._templates[endpoint]


def loggable_path(scope: Scope) -> str:
    """Returns the path of a request without the token in it."""
    path = str(scope["path"])
    return f"{SHARED_PREFIX}…" if path.startswith(SHARED_PREFIX) else path


def _span(scope: Scope) -> AbstractContextManager[Span]:
    """Returns the span of a request; its name comes with its route, at the end."""
    method, path = scope.get("method", "WEBSOCKET"), scope["path"]
    if path in QUIET_PATHS or path.startswith(UNTRACED_PREFIX):
        return nullcontext(INVALID_SPAN)
    label = method if method in metrics.METHODS else "OTHER"
    return span(label, {"http.request.method": label}, Kind.SERVER)
