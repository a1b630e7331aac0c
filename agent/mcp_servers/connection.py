"""One connection to an MCP server, from its start to its end, over the client of the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from importlib.metadata import version
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client, types
from mcp.client._transport import Transport
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from agent.mcp_servers import errors
from agent.mcp_servers.definitions import ToolDefinition
from agent.mcp_servers.http import OutgoingTransport
from agent.mcp_servers.stdio import child_transport
from agent.mcp_servers.tools import McpResult, result_of
from soundstage.errors import SoundstageError, TooLarge, Upstream
from soundstage.http import OwnListeners
from soundstage.settings.conversation import McpServerSettings
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

MAX_ANSWER_BYTES = 4 << 20
MAX_RESULT_CHARS = 20_000
MAX_TOOLS = 200
MAX_PAGES = 20
CLOSING_S = 10.0
_LOST = frozenset({types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT})

ServerResult = TypeVar("ServerResult", bound=types.Result)


class Connection:
    """Owned by a task of its own, in which the SDK's tasks begin and end. `is_open` until anything fails."""

    def __init__(self, server: str, settings: McpServerSettings, listeners: OwnListeners) -> None:
        self._server = server
        self._settings = settings
        self._listeners = listeners
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._fault: SoundstageError | None = None
        # A context of its own: it outlives the call that opens it.
        self._task = asyncio.create_task(self._run(), name=f"mcp server {server}", context=Context())

    @property
    def is_open(self) -> bool:
        return not self._closing.is_set() and not self._task.done()

    async def open(self) -> None:
        """Waits until the protocol has been agreed on. Raises why it was not, as `mcp_server.not_started`."""
        waiting: set[asyncio.Future[Any]] = {self._task, self._opened}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            raise self._fault or errors.not_started(self._server, "it ended before it had answered")

    async def list(self) -> dict[str, ToolDefinition]:
        """Returns what the server lists, by name."""
        found: dict[str, ToolDefinition] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
            listed = await self._send(request, types.ListToolsResult)
            for tool in listed.tools:
                fields = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                found[tool.name] = ToolDefinition.of(fields)
            cursor = listed.next_cursor
            if len(found) > MAX_TOOLS:
                break
            if not cursor:
                return found
        raise TooLarge(
            "mcp_server.too_many_tools",
            f"The MCP server {self._server} lists more than {MAX_TOOLS} tools.",
            "Use one with fewer tools.",
        )

    async def call(self, tool: str, arguments: dict[str, Any]) -> McpResult:
        """Returns the result of a tool, cleaned and cut."""
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=arguments))
        # Not by `call_tool`, which checks results by a schema of the server's: its patterns and references
        # may take for ever, or lead elsewhere.
        result = await self._send(request, types.CallToolResult)
        content = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in result.content]
        shown = result_of(self._server, content, result.structured_content, MAX_RESULT_CHARS)
        if result.is_error:
            raise errors.refusal(self._server, shown.text)
        return shown

    async def close(self) -> None:
        """Ends it, and its process."""
        self._closing.set()
        _, left = await asyncio.wait({self._task}, timeout=CLOSING_S)
        if left:
            await cancel_all([self._task])

    async def _send(self, request: types.ClientRequest, kind: type[ServerResult]) -> ServerResult:
        session = self._opened.result()
        sending = asyncio.create_task(session.send_request(request, kind))
        try:
            await asyncio.wait({sending, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise self._fault or errors.connection_loss(self._server)
            return sending.result()
        except ValidationError as error:
            raise Upstream(
                "mcp_server.garbled",
                f"The MCP server {self._server} answered with something that is no result of a tool.",
                "Its version may not fit; ask its maker.",
            ) from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            self._closing.set()
            raise self._fault or errors.connection_loss(self._server) from error
        except MCPError as error:
            if self._fault is not None or error.error.code in _LOST or not self.is_open:
                self._closing.set()
                raise self._fault or errors.connection_loss(self._server) from error
            raise errors.refusal(self._server, error.error.message) from error
        finally:
            if not sending.done():
                sending.cancel()
                sending.add_done_callback(_discard)

    async def _run(self) -> None:
        try:
            async with self._transport() as transport:
                client = Client(
                    transport,
                    client_info=types.Implementation(name="soundstage", version=version("soundstage")),
                    cache=None,
                )
                async with client:
                    self._opened.set_result(client.session)
                    await self._closing.wait()
        except Exception as error:
            # The SDK raises groups of whatever its tasks raised; callers get the one reason.
            reason = _first(error)
            get_logger(__name__).warning("mcp server failed", server=self._server, error=repr(reason)[:300])
            self._end(reason)
        finally:
            self._closing.set()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Transport]:
        settings = self._settings
        if settings.url is None:
            yield child_transport(self._server, settings, MAX_ANSWER_BYTES, self._end)
            return
        token = await asyncio.to_thread(settings.token)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = OutgoingTransport(self._listeners, settings.timeout_s, MAX_ANSWER_BYTES, self._note_fault)
        async with httpx2.AsyncClient(
            transport=transport, headers=headers, timeout=None, trust_env=False, follow_redirects=False
        ) as http:
            yield streamable_http_client(str(settings.url), http_client=http)

    def _end(self, fault: BaseException | None) -> None:
        """Ends the connection; its first fault is what callers get."""
        if fault is not None and not isinstance(fault, SoundstageError):
            fault = errors.not_started(self._server, str(fault) or type(fault).__name__)
        self._fault = self._fault or fault
        self._closing.set()

    def _note_fault(self, error: Exception) -> None:
        if isinstance(error, SoundstageError) and error.code == "outgoing.answer_too_large":
            error = errors.too_much(self._server, MAX_ANSWER_BYTES)
        self._end(error)


def _discard(task: asyncio.Task[Any]) -> None:
    with suppress(asyncio.CancelledError):
        task.exception()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
