"""Runs one tool call of an MCP client, through the same wrappers as every other call; used by the server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mcp import types
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ValidationError

from agent.approvals.errors import ApprovalRequired
from agent.mcp.descriptions import (
    ABOUT_CALLS,
    CANCEL_CALL,
    TRACE,
    CallCancelled,
    CallRunning,
    CallTicket,
    Refused,
    WaitsForPeople,
    describe,
)
from agent.mcp.running import CallLimits, RunningCall, RunningCalls
from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository
from agent.tools.record import ToolContext
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.turns.result import update_referents
from policy import Principal
from policy.audit import AuditEntry
from policy.principal import DEFAULT_TENANT
from soundstage.database import Database, utcnow
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Invalid, SoundstageError, internal_error
from soundstage.telemetry import get_logger, trace

TITLE = "MCP"


class McpSessions:
    """Rows beside those of the chat, in the same table, so that audit and snapshots know them. One for each
    principal: clients come and go, and some hold no connection between their calls.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, principal: Principal) -> AgentSession:
        """Returns the principal's session; creates it with the first call."""
        session_id = session_id_of(principal)
        async with self._database.session() as session:
            row = await SessionRepository(session).find(session_id)
        if row is None:
            async with self._database.transaction() as session:
                row = await SessionRepository(session).find(session_id)
                if row is None:
                    row = AgentSession(
                        id=session_id,
                        tenant=principal.tenant,
                        principal_id=principal.id,
                        title=TITLE,
                        turns=0,
                        created_at=utcnow(),
                        updated_at=utcnow(),
                    )
                    await SessionRepository(session).add(row)
        return row

    async def note(self, before: AgentSession, result: Mapping[str, Any]) -> None:
        """Stores the referents of "it" and "latest" for the next call."""
        about = update_referents(result, before.last_render_id, before.last_project_id)
        if about == (before.last_render_id, before.last_project_id):
            return
        async with self._database.transaction() as session:
            row = await SessionRepository(session).find(before.id)
            if row is not None:
                row.last_render_id, row.last_project_id = about
                row.updated_at = utcnow()


def session_id_of(principal: Principal) -> str:
    """Returns the id for a principal of a tenant; it also owns the tickets of their calls."""
    who = principal.id if principal.tenant == DEFAULT_TENANT else f"{principal.tenant}\n{principal.id}"
    return f"ses_mcp{hashlib.sha256(who.encode()).hexdigest()[:24]}"


class McpCalls:
    """Calls of all principals: each call names its principal; running calls are held here."""

    def __init__(
        self, toolset: Toolset, services: ToolServices, database: Database, limits: CallLimits | None = None
    ) -> None:
        self._toolset = toolset
        self._services = services
        self._database = database
        self._sessions = McpSessions(database)
        self._running = RunningCalls(limits)
        self._log = get_logger(__name__)

    def list(self, principal: Principal) -> list[types.Tool]:
        """Returns the tools and actions that this caller may use, and the tools about tickets."""
        found = (describe(tool, principal) for tool in self._toolset.tools.values() if not tool.mcp_server)
        return [*(tool for tool in found if tool is not None), *ABOUT_CALLS.values()]

    async def call(
        self, principal: Principal, name: str, arguments: Mapping[str, Any], *, dry_run: bool = False
    ) -> types.CallToolResult:
        """Returns the result, as data and as a sentence; a ticket for it when it takes long. A failure is a
        result too, with a hint.

        Raises MCPError only for a tool that does not exist.
        """
        tool = self._toolset.tools.get(name)
        # Tools of other servers are not handed on: their own clients can call them.
        if (tool is None or tool.mcp_server) and name not in ABOUT_CALLS:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool named {name[:80]!r}.")
        with trace(inherit=False) as trace_id:
            try:
                if name in ABOUT_CALLS:
                    running = await self._about_call(principal, name, arguments)
                else:
                    call = prepare_call(self._toolset, name, arguments)
                    running = await self._running.begin(
                        session_id_of(principal), call, trace_id, self._answer(principal, call, dry_run)
                    )
                return _outcome(running)
            except SoundstageError as error:
                return _with_trace(_failed(error), trace_id)

    async def close(self) -> None:
        """Ends running calls; later ones are refused."""
        await self._running.close()

    async def _about_call(self, principal: Principal, name: str, arguments: Mapping[str, Any]) -> RunningCall:
        """Returns the call of a ticket; cancels it, or waits for it."""
        try:
            ticket = CallTicket.model_validate(dict(arguments))
        except ValidationError as error:
            raise Invalid(
                "mcp.which_call", "No call is named.", "Give the call_id of a ticket, and nothing else."
            ) from error
        running = self._running.find(session_id_of(principal), ticket.call_id)
        # A key that has lost the right meanwhile does not get the result either.
        principal.require(running.call.act.permission)
        if name == CANCEL_CALL:
            self._running.refuse_ended(running)
            await self._note(principal, running)
            await self._running.cancel(running)
        else:
            await self._running.wait(running)
        return running

    async def _note(self, principal: Principal, running: RunningCall) -> None:
        """Records who cancelled the call; the line of the call says how it ended."""
        entry = AuditEntry(
            kind="call.cancelled",
            actor=principal.name,
            subject=running.call.tool.name,
            session_id=running.owner,
            tenant=principal.tenant,
            data={"principal": principal.id, "call": running.id, "trace": running.trace_id},
        )
        with tenant_scope(principal.tenant):
            async with self._database.transaction() as session:
                await self._services.audit.record(session, entry)

    async def _answer(self, principal: Principal, call: ToolCall, dry_run: bool) -> types.CallToolResult:
        try:
            return await self._result(principal, call, dry_run)
        except ApprovalRequired as waits:
            waiting = WaitsForPeople(approval_id=waits.approval_id, message=waits.message, hint=waits.hint)
            return _result(waiting, f"{waits.message}\n{waits.hint}")
        except SoundstageError as error:
            return _failed(error)
        except Exception:
            self._log.exception("an MCP call broke", tool=call.tool.name)
            return _failed(internal_error())

    async def _result(self, principal: Principal, call: ToolCall, dry_run: bool) -> types.CallToolResult:
        session = await self._sessions.of(principal)
        context = ToolContext(
            principal=principal,
            session_id=session.id,
            services=self._services,
            last_render_id=session.last_render_id,
            last_project_id=session.last_project_id,
            dry_run=dry_run,
        )
        result = await self._toolset.run(context, call)
        if not dry_run:
            await self._sessions.note(session, result.model_dump(mode="json"))
        return _result(result, result.sentence())


def _outcome(running: RunningCall) -> types.CallToolResult:
    """Returns the result of a call that has ended, as the call itself would have; else a ticket."""
    name, seconds = running.call.tool.name, round(running.seconds, 1)
    if not running.task.done():
        going = CallRunning(call_id=running.id, tool=name, seconds=seconds)
        answer = _result(going, f"{name} ({running.id}) has been running for {seconds:.0f} s. {going.hint}")
    elif running.task.cancelled():
        answer = _result(CallCancelled(call_id=running.id, tool=name), f"{name} ({running.id}) was ended.")
    else:
        answer = running.task.result().model_copy()
    return _with_trace(answer, running.trace_id)


def _with_trace(answer: types.CallToolResult, trace_id: str) -> types.CallToolResult:
    answer.meta = {TRACE: trace_id}
    return answer


def _result(answer: BaseModel, sentence: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=sentence)],
        structured_content=answer.model_dump(mode="json"),
    )


def _failed(error: SoundstageError) -> types.CallToolResult:
    refused = Refused(code=error.code, message=error.message, hint=error.hint)
    answer = _result(refused, f"{error.message} {error.hint} ({error.code})")
    answer.is_error = True
    return answer
