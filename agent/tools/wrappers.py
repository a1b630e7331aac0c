"""What goes around every tool call: permission and audit, as wrappers and never as branches inside tools."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from agent.tools.record import ToolContext, ToolResult
from agent.tools.toolset import AnyTool, DirectToolset, ToolCall, Toolset
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.telemetry import get_logger


class PermittedToolset:
    """Refuses calls that the asker's roles and key scopes do not cover."""

    def __init__(self, inner: Toolset) -> None:
        self._inner = inner

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        return self._inner.tools

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        context.principal.require(call.tool.permission)
        return await self._inner.run(context, call)


class AuditedToolset:
    """One event per call in the session's stream: who, what, a hash of the arguments, how it ended."""

    def __init__(self, inner: Toolset, database: Database, events: EventStore) -> None:
        self._inner = inner
        self._database = database
        self._events = events

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        return self._inner.tools

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        try:
            result = await self._inner.run(context, call)
        except SoundstageError as error:
            await self._record(context, call, outcome=error.code)
            raise
        await self._record(context, call, outcome="ok")
        return result

    async def _record(self, context: ToolContext, call: ToolCall, *, outcome: str) -> None:
        arguments = call.request.model_dump_json().encode()
        data = {
            "tool": call.tool.name,
            "effect": call.tool.effect,
            "principal": context.principal.id,
            "arguments_sha256": hashlib.sha256(arguments).hexdigest(),
            "outcome": outcome,
        }
        async with self._database.transaction() as session:
            await self._events.append(session, f"session:{context.session_id}", "tool.called", data)


class LoggedToolset:
    """Debug mode: logs what goes in and comes out, shortened."""

    def __init__(self, inner: Toolset) -> None:
        self._inner = inner
        self._log = get_logger("agent.tools")

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        return self._inner.tools

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        self._log.debug(
            "tool called", tool=call.tool.name, arguments=shortened(call.request.model_dump(mode="json"))
        )
        result = await self._inner.run(context, call)
        self._log.debug(
            "tool returned", tool=call.tool.name, result=shortened(result.model_dump(mode="json"))
        )
        return result


def shortened(values: Mapping[str, object], limit: int = 200) -> dict[str, object]:
    """Long texts cut, so that a script of 100 000 characters does not travel with every event."""
    return {
        key: f"{value[:limit]}… ({len(value)} characters)"
        if isinstance(value, str) and len(value) > limit
        else value
        for key, value in values.items()
    }


def standard_toolset(tools: Iterable[AnyTool], database: Database, events: EventStore) -> Toolset:
    """The order matters: a refused call is audited too, and only permitted ones run."""
    return AuditedToolset(PermittedToolset(LoggedToolset(DirectToolset(tools))), database, events)
