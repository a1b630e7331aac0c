"""The sessions of the MCP SDK over streamable HTTP; loaded for the first request (`agent.mcp.http`)."""

from __future__ import annotations

from typing import Any, cast

from fastapi import Request, Response
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from agent.mcp.calls import McpCalls
from agent.mcp.server import mcp_server
from policy import Principal

IDLE_S = 600.0
MAX_SESSIONS = 500


def session_manager(calls: McpCalls) -> StreamableHTTPSessionManager:
    """Returns what keeps the sessions of one process."""
    return StreamableHTTPSessionManager(
        mcp_server(calls, _caller), session_idle_timeout=IDLE_S, max_sessions=MAX_SESSIONS
    )


class SdkResponse(Response):
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
