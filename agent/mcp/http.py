"""MCP over streamable HTTP at `/mcp`: every request brings a key and passes the same policy as a route."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Response
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from agent.mcp.calls import McpCalls
from agent.mcp.server import mcp_server
from policy import Principal, require_permission
from soundstage.errors import Unavailable

PATH = "/mcp"
IDLE_S = 600.0
MOST_SESSIONS = 500

ToolCaller = Annotated[Principal, Depends(require_permission("mcp:use"))]


class McpEndpoint:
    """The sessions of one process; `serving` goes around the life of the application."""

    def __init__(self, calls: McpCalls) -> None:
        self._manager = StreamableHTTPSessionManager(
            mcp_server(calls, _caller), session_idle_timeout=IDLE_S, max_sessions=MOST_SESSIONS
        )
        self._calls = calls
        self._open, self._closing = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Meanwhile requests are answered; at the end sessions are closed and calls ended."""
        # In a task of its own: the SDK's tasks must end in the task in which they began, and whoever
        # starts an application may close it from another one.
        running = asyncio.create_task(self._serve())
        opened = asyncio.create_task(self._open.wait())
        try:
            await asyncio.wait((running, opened), return_when=asyncio.FIRST_COMPLETED)
            yield
        finally:
            opened.cancel()
            self._closing.set()
            try:
                await running
            finally:
                await self._calls.close()

    async def _serve(self) -> None:
        async with self._manager.run():
            self._open.set()
            await self._closing.wait()
            self._open.clear()

    def answer(self, principal: Principal) -> Response:
        """Returns what answers the request of this principal. Raises Unavailable before and after
        `serving`.
        """
        if not self._open.is_set():
            raise Unavailable("mcp.closed", "The MCP server is not running.", "Try again in a moment.")
        return _Handed(self._manager, principal)


class _Handed(Response):
    """A response that the SDK writes itself."""

    def __init__(self, manager: StreamableHTTPSessionManager, principal: Principal) -> None:
        super().__init__()
        self._manager = manager
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The SDK binds each of its sessions to the user who opened it.
        token = AccessToken(token="", client_id=self._principal.id, scopes=[])
        scope = {**scope, "user": AuthenticatedUser(token)}
        scope["state"] = {**scope.get("state", {}), "principal": self._principal}
        await self._manager.handle_request(scope, receive, send)


def _caller(context: ServerRequestContext[Any, Any]) -> Principal:
    request = cast(Request, context.request)
    return cast(Principal, request.state.principal)


def mcp_router(endpoint: McpEndpoint) -> APIRouter:
    """The one address. There is no GET: nothing is told that no request has asked for."""
    router = APIRouter(tags=["mcp"])

    @router.api_route(PATH, methods=["POST", "DELETE"], include_in_schema=False)
    async def mcp(request: Request, principal: ToolCaller) -> Response:
        """Messages of the Model Context Protocol."""
        return endpoint.answer(principal)

    return router
