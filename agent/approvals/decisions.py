"""Takes votes on approvals and runs approved calls; behind the routes and the CLI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.approvals.models import Approval
from agent.approvals.schemas import ApprovalOut
from agent.approvals.service import ApprovalService
from agent.tools.record import ToolContext
from agent.tools.services import ToolServices
from agent.tools.toolset import Toolset, prepare_call
from policy import Principal
from policy.decisions import Action, Decider
from soundstage.background import Worker
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger, trace
from soundstage.tracing import span

POLL_S = 2.0
RETRY_S = 30.0
LATER = frozenset({429, 503})
"""Status of errors that pass by themselves: too many calls, a busy database, a policy out of reach."""
FindRequester = Callable[[Approval], Awaitable[Principal | None]]
"""Returns the requester with their present permissions; None without any."""


@dataclass
class ApprovalDecisions:
    """Takes votes and runs approved calls, also those that were approved while no process ran."""

    approvals: ApprovalService
    decider: Decider
    toolset: Toolset
    services: ToolServices
    find_requester: FindRequester
    _postponed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.worker = Worker("agreed calls", self._poll, poll_s=POLL_S)
        """Runs agreed calls in the background; one that runs at its end is recorded as cut off."""

    async def vote(
        self,
        approval_id: str,
        principal: Principal,
        *,
        agrees: bool,
        reason: str = "",
    ) -> ApprovalOut:
        """Adds a vote. Raises Forbidden for a principal without the permission of the call itself."""
        approval = await self.approvals.get(approval_id, principal)
        if agrees and approval.tool in self.toolset.tools:
            call = prepare_call(self.toolset, approval.tool, approval.arguments)
            await self.decider.require(principal, Action("route", "approvals", call.act.permission))
        out = await self.approvals.vote(approval_id, principal, agrees=agrees, reason=reason)
        self.worker.wake()
        return out

    async def run_approved(self) -> int:
        """Runs the approved calls once, and returns their number."""
        self._postponed = False
        await self.approvals.sweep()
        waiting = await self.approvals.list_approved()
        for row in waiting:
            with (
                trace(row.trace_id, tenant=row.tenant),
                span("run approved call", {"soundstage.approval.id": row.id}),
            ):
                await self._run(row)
        return len(waiting)

    async def _poll(self) -> float | None:
        await self.run_approved()
        return RETRY_S if self._postponed else None

    async def _run(self, row: Approval) -> None:
        """Runs the call again; the wrapper in the toolset claims the approval."""
        principal = await self.find_requester(row)
        if principal is None:
            await self.approvals.void(row.id, "whoever asked has no key any more")
            return
        context = ToolContext(
            principal=principal,
            session_id=row.session_id,
            services=self.services,
            last_render_id=row.last_render_id,
            last_project_id=row.last_project_id,
            local_files=row.local_files,
            approval_id=row.id,
        )
        try:
            await self.toolset.run(context, prepare_call(self.toolset, row.tool, row.arguments))
        except SoundstageError as error:
            get_logger(__name__).warning("an agreed call failed", approval=row.id, code=error.code)
            if error.status in LATER:
                # Nothing is wrong with the call: it waits for a later round, or until it expires.
                self._postponed = True
                return
            # A refusal before the claim would repeat in every round.
            await self.approvals.void(row.id, f"{error.code}: {error.message}")
        except Exception:
            # A fault of one tool must not keep the others waiting; the wrapper has noted that it failed.
            get_logger(__name__).exception("an agreed call broke", approval=row.id, tool=row.tool)
            await self.approvals.void(row.id, "a fault of our own; it is in the log")
