"""Wraps every tool call. Outermost first: tenant, metrics, audit, rate limit, policy, dry run, approval, log,
timeout.

They are wrappers (middleware) and never branches inside tools; `standard_toolset` composes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from agent import genai
from agent.approvals.errors import ApprovalRequired, already_decided, approval_required
from agent.approvals.service import ApprovalService, hash_arguments
from agent.approvals.states import ApprovalState
from agent.presentation import Blocks, page
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext, ToolResult
from agent.tools.toolset import AnyTool, DirectToolset, ToolCall, Toolset, WrappedToolset
from policy.audit import AuditEntry, AuditLog
from policy.decisions import Action, Decider, Verdict
from soundstage.database import Database
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.rate_limits import Rate, RateLimiter
from soundstage.tasks import finish, wait_all
from soundstage.telemetry import get_logger, metrics
from soundstage.telemetry.masking import without_secrets

REFUSED = frozenset({401, 403, 429})
"""Status of errors by which the policy or a limit has refused a call."""


@dataclass(frozen=True, slots=True)
class WrapperServices:
    """The services of the wrappers; created by the composition root."""

    database: Database
    events: EventStore
    decider: Decider
    audit: AuditLog
    approvals: ApprovalService
    calls_per_minute: int = 120


class PlannedResult(ToolResult):
    """The answer of a dry run."""

    plan: Plan
    approvers: int = 0

    def presentation(self) -> Blocks:
        votes = {0: "", 1: "One person would have to agree."}
        return page(
            "This would happen, and nothing has:",
            *self.plan.presentation(),
            votes.get(self.approvers, f"{self.approvers} people would have to agree."),
        )


@dataclass
class AuditToolset(WrappedToolset):
    """Records the end of each call and its event: who, what, a hash of the arguments, the outcome."""

    services: WrapperServices

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        try:
            result = await self.inner.run(context, call)
        except ApprovalRequired as pending:
            await self._end(context, call, pending.code, {"approval": pending.approval_id})
            raise
        except SoundstageError as error:
            await self._end(context, call, error.code, {})
            raise
        except asyncio.CancelledError:
            await finish(self._end(context, call, "cancelled", {}))
            raise
        except Exception:
            await self._end(context, call, "internal.unexpected", {})
            raise
        data = result.model_dump(mode="json")
        effect = {name: value for name, value in data.items() if name.endswith("_id") and value}
        # Shielded: the call has happened, also when its caller was cancelled.
        await finish(self._end(context, call, "ok", effect))
        return result

    async def _end(
        self, context: ToolContext, call: ToolCall, outcome: str, effect: Mapping[str, object]
    ) -> None:
        """Writes the audit record and the event of the session in one transaction."""
        data = {
            "tool": call.tool.name,
            "effect": call.act.effect,
            "principal": context.principal.id,
            "arguments_sha256": hash_arguments(call),
            "outcome": outcome,
            **_dry_run_marker(context, call),
        }
        services = self.services
        async with services.database.transaction() as session:
            await services.events.append(session, f"session:{context.session_id}", "tool.called", data)
            entry = _entry(context, call, "tool.ended", {"outcome": outcome, "made": dict(effect)})
            await services.audit.record(session, *context.pending_entries, entry)


class MeasuredToolset(WrappedToolset):
    """Measures each call with all that wraps it, as a metric and as a span."""

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        with genai.execute_tool(call.tool.name, context.session_id, call.act.effect) as recorded:
            try:
                return await self._measure(context, call)
            except ApprovalRequired as pending:
                # No error: people are asked.
                recorded.set_attribute("soundstage.approval.id", pending.approval_id)
                raise

    async def _measure(self, context: ToolContext, call: ToolCall) -> ToolResult:
        began_s, result = time.perf_counter(), "failed"
        try:
            returned = await self.inner.run(context, call)
            result = "ok"
            return returned
        except ApprovalRequired:
            result = "approval"
            raise
        except SoundstageError as error:
            result = "refused" if error.status in REFUSED else "failed"
            raise
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            # Tools of MCP servers are named by others.
            name = "mcp" if call.tool.mcp_server else call.tool.name
            metrics.TOOL_SECONDS.observe(time.perf_counter() - began_s, name, result)


class TenantToolset(WrappedToolset):
    """Sets the tenant for calls outside a request: approved calls, and those of MCP sessions."""

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        with tenant_scope(context.principal.tenant):
            return await self.inner.run(context, call)


@dataclass
class RateLimitToolset(WrappedToolset):
    """Refuses more than so many calls per person and minute: a loop of a model must not flood the farm."""

    per_minute: int
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(Rate(self.per_minute, self.per_minute), clock=self.clock)

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        if left_s := self.limiter.take(context.principal.id):
            wait_s = max(1, round(left_s))
            raise SoundstageError(
                "tool.too_many_calls",
                f"These are more than {self.per_minute} calls in a minute.",
                f"Wait {wait_s} s.",
                429,
                headers={"Retry-After": str(wait_s)},
            )
        return await self.inner.run(context, call)


@dataclass
class PolicyToolset(WrappedToolset):
    """Has the policy decide on the call and its arguments, and records both. Passes on no denied call."""

    services: WrapperServices

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        arguments = call.request.model_dump(mode="json", exclude_none=True)
        action = Action("tool", call.rule, call.act.permission, call.act.effect, arguments)
        decision = await self.services.decider.decide(context.principal, action)
        arguments_shown = shorten(hash_redactable(call, arguments))
        called = {"arguments": arguments_shown, "arguments_sha256": f"sha256:{hash_arguments(call)}"}
        entries = [
            _entry(context, call, "tool.called", called),
            _entry(context, call, "policy.decided", decision.model_dump(mode="json")),
        ]
        if call.act.effect == "read":
            # Reads are recorded once, with their end; a read that dies with the process leaves no record.
            context.pending_entries.extend(entries)
        else:
            async with self.services.database.transaction() as session:
                await self.services.audit.record(session, *entries)
        if decision.verdict is Verdict.DENY:
            raise decision.refusal(call.act.permission, context.principal.role)
        return await self.inner.run(replace(context, decision=decision), call)


class DryRunToolset(WrappedToolset):
    """Answers a dry run with the plan."""

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        if not context.dry_run or call.act.effect == "read":
            return await self.inner.run(context, call)
        approvers = 0 if context.decision is None else context.decision.approvers
        return PlannedResult(plan=await plan_of(context, call), approvers=approvers)


@dataclass
class ApprovalToolset(WrappedToolset):
    """Requests an approval where the policy demands one, and passes on a call whose exact plan is approved,
    once.
    """

    approvals: ApprovalService

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        decision = context.decision
        if context.approval_id is None and (decision is None or decision.verdict is Verdict.ALLOW):
            return await self.inner.run(context, call)
        plan = await plan_of(context, call)
        claimed = await self._claim_shielded(context, call, plan)
        if claimed is None:
            if context.approval_id is not None or decision is None:
                raise already_decided(ApprovalState.RUNNING, "")
            pending = await self.approvals.request(context, call, decision, plan)
            raise approval_required(pending.id, pending.approvers, pending.why, plan.sentence())
        try:
            result = await self.inner.run(context, call)
        except SoundstageError as error:
            await self.approvals.finish(claimed, worked=False, outcome=f"{error.code}: {error.message}")
            raise
        except BaseException:
            # Cancelled, or an internal error: its progress is unknown.
            cut = "it was cut off; look before asking again"
            await finish(self.approvals.finish(claimed, worked=False, outcome=cut))
            raise
        outcome = "done" if call.tool.redactable else result.sentence()
        await finish(self.approvals.finish(claimed, worked=True, outcome=outcome))
        return result

    async def _claim_shielded(self, context: ToolContext, call: ToolCall, plan: Plan) -> str | None:
        """Claims the approval; None when there is none for this plan. A claim for a caller who is cancelled
        meanwhile is finished as not begun, or it would count as running until the timeout of calls.
        """
        claiming = asyncio.ensure_future(self.approvals.claim(context, call, plan))
        try:
            await wait_all([claiming])
        except asyncio.CancelledError:
            if not claiming.cancelled() and claiming.exception() is None and (claimed := claiming.result()):
                await finish(
                    self.approvals.finish(claimed, worked=False, outcome="it was stopped before it began")
                )
            raise
        return claiming.result()


class LoggingToolset(WrappedToolset):
    """Logs arguments and results in debug mode, shortened and without secrets."""

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        log = get_logger("agent.tools")
        log.debug(
            "tool called",
            tool=call.tool.name,
            arguments=loggable(call.request.model_dump(mode="json")),
        )
        result = await self.inner.run(context, call)
        log.debug("tool returned", tool=call.tool.name, result=loggable(result.model_dump(mode="json")))
        return result


class TimeoutToolset(WrappedToolset):
    """Ends a call at the timeout of its tool: a turn must not wait for ever for other systems."""

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        timeout_s = call.tool.timeout_s
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await self.inner.run(context, call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise SoundstageError(
                "tool.took_too_long",
                f"{call.tool.name} took longer than {timeout_s:.0f} s and was ended.",
                "What it had done by then stays: look before you ask for it again.",
                504,
            ) from error


async def plan_of(context: ToolContext, call: ToolCall) -> Plan:
    """Returns the plan of the tool, which it finds in the context when it acts; else its purpose and
    the arguments. Many may read it, so it shows no secret: the hash of the arguments binds to those.
    """
    if call.tool.plan is not None:
        with genai.plan(call.tool.name):
            plan = await call.tool.plan(context, call.request)
        context.plans.append(plan)
        return plan
    arguments = without_secrets(call.request.model_dump(mode="json", exclude_none=True))
    where = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    return Plan(changes=(change(call.tool.purpose, where),))


def hash_redactable(call: ToolCall, arguments: Mapping[str, object]) -> dict[str, object]:
    """Returns the arguments with hashes in place of texts that a user may have redacted later."""
    return {
        name: f"sha256:{hashlib.sha256(str(value).encode()).hexdigest()}"
        if name in call.tool.redactable
        else value
        for name, value in arguments.items()
    }


def shorten(values: Mapping[str, object], limit: int = 200) -> dict[str, object]:
    """Cuts long texts, so that a script of 100 000 characters is not part of every event."""
    return {
        key: f"{value[:limit]}… ({len(value)} characters)"
        if isinstance(value, str) and len(value) > limit
        else value
        for key, value in values.items()
    }


def loggable(values: Mapping[str, object]) -> dict[str, object]:
    """Returns the values shortened and without secrets."""
    return without_secrets(shorten(values))


def _dry_run_marker(context: ToolContext, call: ToolCall) -> dict[str, object]:
    """Returns the mark of a dry run, which tells its record from that of a change."""
    return {"dry_run": True} if context.dry_run and call.act.effect != "read" else {}


def _entry(context: ToolContext, call: ToolCall, kind: str, data: Mapping[str, object]) -> AuditEntry:
    return AuditEntry(
        kind=kind,
        actor=context.principal.name,
        subject=call.tool.name,
        session_id=context.session_id,
        tenant=context.principal.tenant,
        data={
            "tool": call.tool.name,
            "principal": context.principal.id,
            **_dry_run_marker(context, call),
            **data,
        },
    )


def standard_toolset(
    tools: Iterable[AnyTool],
    services: WrapperServices,
    mcp_tools: Callable[[], Mapping[str, AnyTool]] = dict,
) -> Toolset:
    """Composes the wrappers. The order matters: a refused call is audited too, a dry run needs no approval,
    and only the approved plan is run.
    """
    toolset: Toolset = LoggingToolset(TimeoutToolset(DirectToolset(tools, mcp_tools)))
    toolset = ApprovalToolset(toolset, services.approvals)
    toolset = DryRunToolset(toolset)
    toolset = PolicyToolset(toolset, services)
    toolset = RateLimitToolset(toolset, services.calls_per_minute)
    toolset = MeasuredToolset(AuditToolset(toolset, services))
    return TenantToolset(toolset)
