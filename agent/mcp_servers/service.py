"""The MCP servers that the operator allows: their tools, their connections, and what they are doing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel

from agent.mcp_servers.allowed import AllowedTools
from agent.mcp_servers.definitions import MAX_DESCRIPTION_CHARS, SEPARATOR, ToolDefinition, clean_text
from agent.mcp_servers.tools import McpResult, tool_of
from agent.tools.toolset import AnyTool
from policy.permissions import permission
from soundstage.backoff import Backoff
from soundstage.errors import Conflict, NotFound, SoundstageError, Unavailable
from soundstage.http import OwnListeners
from soundstage.settings.conversation import McpServerSettings
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    from agent.mcp_servers.connection import Connection

T = TypeVar("T")
RESTARTS = Backoff(first_s=1.0, longest_s=60.0)
MARKS_A_FAILURE = frozenset({"mcp_server.answer_too_large", "mcp_server.ended", "mcp_server.not_started"})


class McpServerView(BaseModel, frozen=True):
    """A server as status and commands show it."""

    name: str
    tools: int
    """How many are allowed."""
    state: Literal["connected", "idle", "failing"]
    error: str = ""


class AllowedTool(BaseModel, frozen=True):
    """A tool that the operator allowed. `description` is the server's text, as it was then, cleaned."""

    name: str
    description: str


class McpServerDetails(McpServerView, frozen=True):
    """A server with its allowed tools."""

    effect: Literal["read", "write", "destructive"]
    """What the settings say that its tools do."""
    permission: str
    allowed: tuple[AllowedTool, ...]


class ListedTool(BaseModel, frozen=True):
    """A tool as its server lists it now, beside what was allowed."""

    definition: ToolDefinition
    state: Literal["allowed", "new", "changed", "gone", "unusable"]
    why: str = ""


class McpServer:
    """One server: starts it at the first call, and again after failures, later with each."""

    def __init__(
        self, name: str, settings: McpServerSettings, listeners: OwnListeners, restarts: Backoff = RESTARTS
    ) -> None:
        permission(settings.permission)
        self.name = name
        self.settings = settings
        self._listeners = listeners
        self._restarts = restarts
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._error = ""

    @property
    def state(self) -> tuple[Literal["connected", "idle", "failing"], str]:
        if self._failures:
            return "failing", self._error
        return ("connected" if self._connection is not None and self._connection.is_open else "idle"), ""

    async def list(self) -> dict[str, ToolDefinition]:
        """Returns the tools that the server lists now and the settings let through. Raises `mcp_server.…`."""
        _, listed = await self._within_time(self._listed())
        return listed

    async def call(self, tool: ToolDefinition, arguments: dict[str, Any]) -> McpResult:
        """Calls a tool that is still what was allowed. Raises `mcp_server.…`."""

        async def check_and_call() -> McpResult:
            connection, tools = await self._listed()
            listed = tools.get(tool.name)
            if listed is None or listed.sha256 != tool.sha256:
                raise Conflict(
                    "mcp_server.tool_changed",
                    f"The MCP server {self.name} has changed or removed its tool {tool.name} since "
                    "it was allowed.",
                    f"Look at it and allow it again: `soundstage mcp-servers allow {self.name}`.",
                )
            return await connection.call(tool.name, arguments)

        return await self._within_time(check_and_call())

    async def close(self) -> None:
        """Ends the connection, and the process behind it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _listed(self) -> tuple[Connection, dict[str, ToolDefinition]]:
        """Returns a connection that works, and what its server lists now."""
        before = self._connection
        connection = await self._connected()
        try:
            listed = await connection.list()
        except SoundstageError:
            if connection is not before:
                raise
            # The server has forgotten the session, or ended since: nothing of this call has reached it.
            await self.close()
            connection = await self._connected()
            listed = await connection.list()
        chosen = self.settings.tools
        return connection, {name: one for name, one in listed.items() if not chosen or name in chosen}

    async def _within_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns what the work gives. Raises `mcp_server.no_answer` after the time limit; notes failures."""
        try:
            async with asyncio.timeout(self.settings.timeout_s) as limit:
                found = await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            fault = SoundstageError(
                "mcp_server.no_answer",
                f"The MCP server {self.name} did not answer within {self.settings.timeout_s:g} s, and was "
                "cut off.",
                "What it had done by then stays. "
                f"`timeout_s` of [agent.mcp_servers.{self.name}] is the limit.",
                504,
            )
            await self._note_failure(fault)
            raise fault from error
        except SoundstageError as error:
            if error.code in MARKS_A_FAILURE:
                await self._note_failure(error)
            raise
        self._failures, self._error = 0, ""
        return found

    async def _connected(self) -> Connection:
        from agent.mcp_servers.connection import Connection

        async with self._lock:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            if (wait_s := self._retry_at - time.monotonic()) > 0:
                seconds = max(1, round(wait_s))
                raise Unavailable(
                    "mcp_server.waits",
                    f"The MCP server {self.name} has failed, and is tried again in {seconds} s.",
                    "`soundstage doctor` looks whether it starts.",
                    headers={"Retry-After": str(seconds)},
                )
            await self.close()
            self._connection = Connection(self.name, self.settings, self._listeners)
            await self._connection.open()
            return self._connection

    async def _note_failure(self, error: SoundstageError) -> None:
        self._failures += 1
        self._error = f"{error.code}: {error.message}"
        wait_s = self._restarts.delay_s(self._failures)
        self._retry_at = time.monotonic() + wait_s
        get_logger(__name__).warning(
            "mcp server failed", server=self.name, code=error.code, failures=self._failures, retry_s=wait_s
        )
        await self.close()


class McpServers:
    """All servers of the settings. Starts none before a call."""

    def __init__(
        self,
        settings: Mapping[str, McpServerSettings],
        state_dir: Path,
        listeners: OwnListeners,
        restarts: Backoff = RESTARTS,
    ) -> None:
        """Raises `policy.unknown_permission` for a permission in the settings that does not exist."""
        self.allowed = AllowedTools(state_dir)
        self._servers = {name: McpServer(name, one, listeners, restarts) for name, one in settings.items()}
        self._stamp: tuple[int, int, int] | None = None
        self._tools: Mapping[str, AnyTool] = {}

    def tools(self) -> Mapping[str, AnyTool]:
        """Returns the allowed tools by their full names, as they were when they were allowed."""
        if not self._servers:
            return self._tools
        stamp = self.allowed.stamp()
        if stamp != self._stamp:
            self._tools, self._stamp = self._build_tools(), stamp
        return self._tools

    def views(self) -> list[McpServerView]:
        """Returns all servers, with what each is doing."""
        servers = [tool.mcp_server for tool in self.tools().values()]
        return [
            McpServerView(name=name, tools=servers.count(name), state=one.state[0], error=one.state[1])
            for name, one in self._servers.items()
        ]

    def details(self) -> list[McpServerDetails]:
        """Returns all servers with their allowed tools, as they were when they were allowed."""
        offered = self.tools()
        return [
            McpServerDetails(
                **view.model_dump(),
                effect=self._servers[view.name].settings.effect,
                permission=self._servers[view.name].settings.permission,
                allowed=tuple(
                    AllowedTool(name=one.name, description=clean_text(one.description, MAX_DESCRIPTION_CHARS))
                    for one in self.allowed.of(view.name)
                    if f"{view.name}{SEPARATOR}{one.name}" in offered
                ),
            )
            for view in self.views()
        ]

    async def compare(self, name: str) -> list[ListedTool]:
        """Starts a server and returns its tools beside what was allowed. Raises `mcp_server.…`."""
        if (server := self._servers.get(name)) is None:
            raise NotFound(
                "mcp_server.not_found",
                f"There is no MCP server {name!r} in the settings.",
                "Add a section [agent.mcp_servers.NAME] to the settings file.",
            )
        listed = await server.list()
        allowed = {one.name: one for one in self.allowed.of(name)}
        found = [_compared(name, server.settings, one, allowed.get(one.name)) for one in listed.values()]
        gone = [one for one in allowed.values() if one.name not in listed]
        return [*found, *(ListedTool(definition=one, state="gone") for one in gone)]

    async def close(self) -> None:
        """Ends all connections and processes."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _build_tools(self) -> dict[str, AnyTool]:
        found: dict[str, AnyTool] = {}
        for name, server in self._servers.items():
            chosen = server.settings.tools
            for definition in self.allowed.of(name):
                if not chosen or definition.name in chosen:
                    tool = tool_of(name, server.settings, definition, server.call)
                    found[tool.name] = tool
        return found


def _compared(
    name: str, settings: McpServerSettings, listed: ToolDefinition, allowed: ToolDefinition | None
) -> ListedTool:
    async def never(definition: ToolDefinition, arguments: dict[str, Any]) -> McpResult:
        raise NotImplementedError

    try:
        tool_of(name, settings, listed, never)
    except SoundstageError as error:
        return ListedTool(definition=listed, state="unusable", why=error.message)
    if allowed is None:
        return ListedTool(definition=listed, state="new")
    return ListedTool(definition=listed, state="allowed" if allowed.sha256 == listed.sha256 else "changed")
