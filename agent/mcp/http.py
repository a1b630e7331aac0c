"""MCP over streamable HTTP at `/mcp`: every request brings a key and passes the same policy as a route."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request, Response

from policy import Principal, require_permission
from soundstage.errors import Unavailable

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from agent.mcp.calls import McpCalls

PATH = "/mcp"

McpCaller = Annotated[Principal, Depends(require_permission("mcp:use"))]


class McpEndpoint:
    """The MCP sessions of one process; `serving` spans the life of the application.

    The SDK takes a fifth of all imports of a server, so it is loaded for the first request.
    """

    def __init__(self, make_calls: Callable[[], "McpCalls"]) -> None:
        self._make_calls = make_calls
        self._requested, self._closing = asyncio.Event(), asyncio.Event()
        self._opened: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._running: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answers requests inside the block; at its end closes sessions and ends calls."""
        self._opened = asyncio.get_running_loop().create_future()
        # In a task of its own: the SDK's tasks must end in the task in which they began, and an
        # application may be closed from another task than it was started in.
        running = self._running = asyncio.create_task(self._serve(self._opened))
        try:
            yield
        finally:
            self._running = None
            self._closing.set()
            self._requested.set()
            await running

    async def _serve(self, opened: "asyncio.Future[StreamableHTTPSessionManager]") -> None:
        await self._requested.wait()
        if self._closing.is_set():
            return
        calls, manager = await asyncio.to_thread(self._load)
        try:
            async with manager.run():
                opened.set_result(manager)
                await self._closing.wait()
        finally:
            await calls.close()

    def _load(self) -> "tuple[McpCalls, StreamableHTTPSessionManager]":
        from agent.mcp.sdk_sessions import session_manager

        calls = self._make_calls()
        return calls, session_manager(calls)

    async def answer(self, principal: Principal) -> Response:
        """Returns what answers the request of this principal. Raises Unavailable before and after
        `serving`.
        """
        if self._running is not None and self._opened is not None:
            self._requested.set()
            await asyncio.wait((self._running, self._opened), return_when=asyncio.FIRST_COMPLETED)
            if self._opened.done():
                from agent.mcp.sdk_sessions import SdkResponse

                return SdkResponse(self._opened.result(), principal)
            # It has ended without: what it failed with is the answer.
            self._running.result()
        raise Unavailable("mcp.closed", "The MCP server is not running.", "Try again in a moment.")


def mcp_router(endpoint: McpEndpoint) -> APIRouter:
    """Returns the one route. There is no GET: the server sends nothing but answers."""
    router = APIRouter(tags=["mcp"])

    @router.api_route(PATH, methods=["POST", "DELETE"], include_in_schema=False)
    async def mcp(request: Request, principal: McpCaller) -> Response:
        """Messages of the Model Context Protocol."""
        return await endpoint.answer(principal)

    return router
