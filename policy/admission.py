"""Refuses requests before they reach their route; `install_policy` wraps both checks around the
application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.requests import HTTPConnection
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from policy.declarations import check_routes
from policy.principal import Principal
from soundstage.database.tenants import NO_TENANT, tenant_scope
from soundstage.errors import SoundstageError, problem_response

Admission = Callable[[HTTPConnection], Awaitable[Any]]
"""Raises for a connection that may not come in."""

# A login or a sentence fits easily; an upload does not.
UNKNOWN_BODY_BYTES = 64 << 10


class DeclarationCheck:
    """Refuses service, at the start and before the first request, when a route declares no permission."""

    def __init__(self, app: ASGIApp, guarded: FastAPI) -> None:
        self._app = app
        self._guarded = guarded
        self._checked = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._checked:
            try:
                check_routes(self._guarded)
            except RuntimeError as error:
                if scope["type"] == "lifespan":
                    await receive()
                    # A server takes an exception alone for "knows no lifespan", and goes on.
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            self._checked = True
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # Until the guard has authenticated the caller, no row of any tenant matches.
        with tenant_scope(NO_TENANT):
            await self._app(scope, receive, send)


class BodyAdmission:
    """Authenticates senders of large bodies first: the framework spools a form to the disk before the guard
    runs.

    `own_tokens` maps the beginning of a path to what admits there, where callers show tokens of another kind.
    Below the paths of `keyless` no key is required; `install_body_limits` holds their bodies short.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Callable[[HTTPConnection], Awaitable[Principal]],
        own_tokens: Mapping[str, Admission] | None = None,
        keyless: Collection[str] = (),
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._keyless = tuple(keyless)
        self._own_tokens = dict(own_tokens or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needs_key = scope["type"] == "http" and not scope["path"].startswith(self._keyless)
        if needs_key and _brings_much(Headers(scope=scope)):
            try:
                await self._admission(scope["path"])(HTTPConnection(scope))
            except SoundstageError as error:
                error.headers["Connection"] = "close"
                await problem_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admission(self, path: str) -> Admission:
        for prefix, admit in self._own_tokens.items():
            if path.startswith(f"{prefix}/"):
                return admit
        return self._authenticate


def _brings_much(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    # Without a length the body comes in chunks, and its size is unknown.
    return "transfer-encoding" in headers or not length.isdigit() or int(length) > UNKNOWN_BODY_BYTES
