"""Runs one tool call of an MCP client, through the same wrappers as every other call; used by the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import anyio
from mcp import types
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from agent.approvals.errors import ApprovalRequired
from agent.mcp.descriptions import TRACE, Refused, WaitsForPeople, described
from agent.mcp.session import McpSessions
from agent.tools.doors import Doors
from agent.tools.record import ToolContext, ToolResult
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from policy import Principal
from soundstage.database import Database
from soundstage.errors import SoundstageError, unexpected_error
from soundstage.telemetry import get_logger, trace


class McpCalls:
    """Free of state: who asks comes with each call."""

    def __init__(self, toolset: Toolset, doors: Doors, database: Database) -> None:
        self._toolset = toolset
        self._doors = doors
        self._sessions = McpSessions(database)
        self._log = get_logger(__name__)

    def list(self, principal: Principal) -> list[types.Tool]:
        """The tools that this caller may use, and of their actions those."""
        found = (described(tool, principal) for tool in self._toolset.tools.values())
        return [tool for tool in found if tool is not None]

    async def call(
        self, principal: Principal, name: str, arguments: Mapping[str, Any], *, dry_run: bool = False
    ) -> types.CallToolResult:
        """The result, as data and as a sentence. What fails is a result too, which says how to go on.

        Raises MCPError only for a tool that does not exist.
        """
        if name not in self._toolset.tools:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool named {name[:80]!r}.")
        with trace(inherit=False) as trace_id:
            try:
                answer = await self._answer(principal, name, arguments, dry_run)
            except ApprovalRequired as waits:
                told = WaitsForPeople(approval_id=waits.approval_id, message=waits.message, hint=waits.hint)
                answer = _result(told, f"{waits.message}\n{waits.hint}")
            except SoundstageError as error:
                answer = _failed(error)
            except Exception:
                self._log.exception("an MCP call broke", tool=name)
                answer = _failed(unexpected_error())
        answer.meta = {TRACE: trace_id}
        return answer

    async def _answer(
        self, principal: Principal, name: str, arguments: Mapping[str, Any], dry_run: bool
    ) -> types.CallToolResult:
        call = prepare_call(self._toolset, name, arguments)
        session = await self._sessions.of(principal)
        context = ToolContext(
            principal=principal,
            session_id=session.id,
            doors=self._doors,
            last_render_id=session.last_render_id,
            last_project_id=session.last_project_id,
            dry_run=dry_run,
        )
        result = await self._run(context, call)
        if not dry_run:
            await self._sessions.note(session, result.model_dump(mode="json"))
        return _result(result, result.sentence())

    async def _run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        """In a task of its own: the SDK cancels anew at every await, which would cut a tool's cleaning up."""
        task = asyncio.create_task(self._toolset.run(context, call))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
            raise
        return task.result()


def _result(answer: BaseModel, sentence: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=sentence)],
        structured_content=answer.model_dump(mode="json"),
    )


def _failed(error: SoundstageError) -> types.CallToolResult:
    told = Refused(code=error.code, message=error.message, hint=error.hint)
    answer = _result(told, f"{error.message} {error.hint} ({error.code})")
    answer.is_error = True
    return answer
