"""Requests, votes on, claims and ends approvals; called by the wrapper of tools, the routes and the CLI."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from agent.approvals.errors import already_decided
from agent.approvals.models import Approval, ApprovalVote
from agent.approvals.repository import Approvals
from agent.approvals.schemas import ApprovalOut, VoteOut
from agent.approvals.states import OPEN, ApprovalState, move
from agent.forgetting import Redaction
from agent.tools.plan import Plan
from agent.tools.record import ToolContext
from agent.tools.toolset import ToolCall
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from policy.decisions import Decision
from soundstage.database import Database, LocalLeases, new_id, utcnow
from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError
from soundstage.events import EventStore
from soundstage.paging import Page, PageRequest
from soundstage.telemetry import mask_text, trace_id
from soundstage.telemetry.masking import without_secrets

STREAM = "approvals"
RUNNING_FOR = timedelta(minutes=15)
"""A call that has not ended by then was lost with its process; tools answer with tickets long before."""
OUTCOME_CHARS = 2000
MAX_WAITING = 50
THIS_MACHINE = "this machine"


def hash_arguments(call: ToolCall) -> str:
    """Of the valid arguments, defaults and all."""
    return hashlib.sha256(call.request.model_dump_json().encode()).hexdigest()


def person_of(principal: Principal) -> str:
    """Returns the person behind a principal: the page and the prompt of one machine are one, and so are a key
    and its logins.
    """
    return THIS_MACHINE if principal.is_local else principal.id


@dataclass
class ApprovalService:
    """Every verb is one transaction, and one transaction writes at a time: a race has one winner."""

    database: Database
    events: EventStore
    audit: AuditLog
    lifetime: timedelta = timedelta(hours=24)
    _leases: LocalLeases[str] = field(default_factory=LocalLeases, init=False)

    async def request(
        self, context: ToolContext, call: ToolCall, decision: Decision, plan: Plan
    ) -> ApprovalOut:
        """Returns a pending approval for exactly this call; the existing one for a repeated request."""
        async with self.database.transaction() as session:
            approvals = Approvals(session)
            await self._sweep(session)
            requester = context.principal
            for row in await approvals.open_for(
                call.tool.name, hash_arguments(call), requester.id, context.session_id
            ):
                if row.plan_sha256 == plan.sha256:
                    # Maybe agreed to in this very moment: then it runs by itself.
                    return await self._out(session, row)
                await self._end(session, row, ApprovalState.VOID, "asked again with another plan")
            now = utcnow()
            row = Approval(
                id=new_id("apr"),
                state=ApprovalState.PENDING,
                tool=call.tool.name,
                permission=call.act.permission,
                arguments=call.request.model_dump(mode="json"),
                arguments_sha256=hash_arguments(call),
                plan=plan.model_dump(mode="json"),
                plan_sha256=plan.sha256,
                why="; ".join(decision.reasons),
                approvers=decision.approvers,
                requester_id=requester.id,
                requester_name=requester.name,
                requester_kind=requester.kind,
                requester_role=requester.role,
                tenant=requester.tenant,
                session_id=context.session_id,
                trace_id=trace_id(),
                last_render_id=context.last_render_id,
                last_project_id=context.last_project_id,
                local_files=context.local_files,
                created_at=now,
                expires_at=now + self.lifetime,
            )
            await approvals.add(row)
            shown = {} if call.tool.redactable else {"plan": row.plan}
            await self._record(session, row, "approval.requested", requester.name, shown)
            return await self._out(session, row)

    async def vote(
        self,
        approval_id: str,
        principal: Principal,
        *,
        agrees: bool,
        reason: str = "",
    ) -> ApprovalOut:
        """Adds a vote. Raises Conflict when it is decided already, Forbidden for the requester."""
        async with self.database.transaction() as session:
            approvals = Approvals(session)
            swept = await self._sweep(session)
            row = await self._row(approvals, approval_id, principal)
            votes = await approvals.votes(row.id)
            failure = _refusal(row, votes, principal, agrees=agrees)
            if failure is None:
                vote = ApprovalVote(
                    approval_id=row.id,
                    person=person_of(principal),
                    name=principal.name,
                    agrees=agrees,
                    reason=reason,
                    at=utcnow(),
                )
                await approvals.add(vote)
                await self._count(session, row, [*votes, vote], principal, reason)
                return await self._out(session, row)
            if not swept:
                raise failure
        # What has expired stays expired, so the transaction is over before the refusal is told.
        raise failure

    async def claim(self, context: ToolContext, call: ToolCall, plan: Plan) -> str | None:
        """Returns the id of an approval of this call, now running; None without an approved one.

        Raises Conflict (`approval.drifted`), and voids it, when the plan is not the one that was agreed to,
        or when the policy asks for more people than agreed.
        """
        async with self.database.transaction() as session:
            await self._sweep(session)
            found = await Approvals(session).open_for(
                call.tool.name, hash_arguments(call), context.principal.id, context.session_id
            )
            approval_id = context.approval_id
            usable = (one for one in found if approval_id in (None, one.id))
            row = next((one for one in usable if one.state == ApprovalState.APPROVED), None)
            if row is None:
                return None
            needed = 0 if context.decision is None else context.decision.approvers
            if needed > row.approvers:
                await self._end(session, row, ApprovalState.VOID, "the policy asks for more people now")
            elif row.plan_sha256 == plan.sha256:
                row.state = move(ApprovalState(row.state), ApprovalState.RUNNING)
                row.alive_until = self._leases.renew(row.id, RUNNING_FOR.total_seconds())
                await self._record(session, row, "approval.running", context.principal.name, {})
                return row.id
            else:
                await self._end(session, row, ApprovalState.VOID, "the plan has changed since")
        raise Conflict(
            "approval.drifted",
            f"What {row.id} agreed to is not what would happen now, so it is void.",
            "Ask again, and look at the new plan.",
        )

    async def finish(self, approval_id: str, *, worked: bool, outcome: str) -> None:
        """Ends a running approval with the outcome of its call."""
        async with self.database.transaction() as session:
            row = await Approvals(session).get(approval_id)
            if row is not None and row.state == ApprovalState.RUNNING:
                state = ApprovalState.DONE if worked else ApprovalState.FAILED
                await self._end(session, row, state, outcome)

    async def void(self, approval_id: str, why: str) -> None:
        """Ends an approval that can never be used."""
        async with self.database.transaction() as session:
            row = await Approvals(session).get(approval_id)
            if row is not None and row.state in (ApprovalState.PENDING, ApprovalState.APPROVED):
                await self._end(session, row, ApprovalState.VOID, why)

    async def withdraw(self, approval_id: str, principal: Principal) -> ApprovalState:
        """Ends an approval that still waits because its requester wants it no more; one that has begun or
        ended stays. Returns the state that it has then.
        """
        async with self.database.transaction() as session:
            row = await self._row(Approvals(session), approval_id, principal)
            if row.requester_id == principal.id and row.state in OPEN:
                await self._end(session, row, ApprovalState.VOID, "withdrawn by who asked for it")
            return ApprovalState(row.state)

    async def redact(self, session: AsyncSession, redaction: Redaction) -> int:
        """Redacts the approvals of an owner in the caller's transaction, and returns how many matched.
        A pending one is void: its plan could not be read any more.
        """
        found = 0
        for row in await Approvals(session).of_requester(redaction.tenant, redaction.subject):
            if not redaction.matches([row.plan, row.arguments, row.outcome]):
                continue
            found += 1
            if row.state in (ApprovalState.PENDING, ApprovalState.APPROVED):
                await self._end(session, row, ApprovalState.VOID, "what it was about is forgotten")
            row.plan, row.arguments = redaction.redact(row.plan), redaction.redact(row.arguments)
            row.outcome = redaction.redact(row.outcome)
        return found

    async def get(self, approval_id: str, principal: Principal) -> ApprovalOut:
        """Returns one approval of the principal's tenant."""
        await self.sweep()
        async with self.database.session() as session:
            return await self._out(session, await self._row(Approvals(session), approval_id, principal))

    async def find_page(
        self, principal: Principal, states: Collection[ApprovalState], request: PageRequest
    ) -> Page[ApprovalOut]:
        """Returns a page of the approvals of the principal's tenant, the newest first."""
        await self.sweep()
        async with self.database.session() as session:
            page = await Approvals(session).page(principal.tenant, states, request)
            return page.of([await self._out(session, row) for row in page.items])

    async def list_waiting(self, principal: Principal) -> Sequence[ApprovalOut]:
        """Returns the approvals of the principal's tenant that people still have to decide."""
        request = PageRequest(MAX_WAITING)
        return (await self.find_page(principal, (ApprovalState.PENDING,), request)).items

    async def list_approved(self) -> Sequence[Approval]:
        """Returns the approved calls that may run now."""
        async with self.database.session() as session:
            return await Approvals(session).list_approved()

    async def sweep(self) -> None:
        """Ends overdue approvals. Almost always there are none, and no write."""
        async with self.database.session() as session:
            if not await self._overdue(session):
                return
        async with self.database.transaction() as session:
            await self._sweep(session)

    async def _overdue(self, session: AsyncSession) -> Sequence[Approval]:
        found = await Approvals(session).overdue(utcnow())
        return [row for row in found if self._leases.has_ended(row.id) is not False]

    async def _sweep(self, session: AsyncSession) -> bool:
        overdue = await self._overdue(session)
        for row in overdue:
            if row.state == ApprovalState.RUNNING:
                lost = "the process ended before it told what came of it; look before asking again"
                await self._end(session, row, ApprovalState.LOST, lost)
            else:
                await self._end(session, row, ApprovalState.EXPIRED, "nobody used it in time")
        return bool(overdue)

    async def _count(
        self, session: AsyncSession, row: Approval, votes: Sequence[ApprovalVote], by: Principal, reason: str
    ) -> None:
        """Counts the votes: one no denies, enough yeses approve."""
        vote = {"reason": reason, "by": by.id}
        if not votes[-1].agrees:
            row.state = move(ApprovalState(row.state), ApprovalState.DENIED)
            row.ended_at, row.arguments = utcnow(), without_secrets(row.arguments)
            await self._record(session, row, "approval.denied", by.name, vote)
        elif len(votes) >= row.approvers:
            row.state = move(ApprovalState(row.state), ApprovalState.APPROVED)
            await self._record(session, row, "approval.approved", by.name, vote)
        else:
            await self._record(session, row, "approval.voted", by.name, vote)

    async def _end(self, session: AsyncSession, row: Approval, state: ApprovalState, outcome: str) -> None:
        self._leases.release(row.id)
        row.state = move(ApprovalState(row.state), state)
        row.ended_at, row.alive_until, row.outcome = utcnow(), None, mask_text(outcome[:OUTCOME_CHARS])
        row.arguments = without_secrets(row.arguments)
        await self._record(session, row, f"approval.{state}", "soundstage", {"outcome": row.outcome})

    async def _record(
        self, session: AsyncSession, row: Approval, kind: str, actor: str, more: Mapping[str, object]
    ) -> None:
        """Appends the event and the line of the audit log in the transaction of the change."""
        await session.flush()
        data = {"id": row.id, "tool": row.tool, "state": row.state, "session_id": row.session_id, **more}
        await self.events.append(session, STREAM, kind, data, trace_id=row.trace_id)
        proof = {"arguments_sha256": row.arguments_sha256, "plan_sha256": row.plan_sha256}
        await self.audit.record(
            session,
            AuditEntry(
                kind=kind,
                actor=actor,
                subject=row.id,
                session_id=row.session_id,
                trace_id=row.trace_id,
                tenant=row.tenant,
                data={"tool": row.tool, **{name: f"sha256:{value}" for name, value in proof.items()}, **more},
            ),
        )

    async def _row(self, approvals: Approvals, approval_id: str, principal: Principal) -> Approval:
        row = await approvals.get(approval_id)
        if row is None or row.tenant != principal.tenant:
            raise NotFound(
                "approval.not_found",
                f"There is no approval {approval_id!r}.",
                "List them: `soundstage approvals list`.",
            )
        return row

    async def _out(self, session: AsyncSession, row: Approval) -> ApprovalOut:
        votes = await Approvals(session).votes(row.id)
        out = ApprovalOut.model_validate(row)
        return out.model_copy(update={"votes": tuple(VoteOut.model_validate(vote) for vote in votes)})


def _refusal(
    row: Approval,
    votes: Collection[ApprovalVote],
    principal: Principal,
    *,
    agrees: bool,
) -> SoundstageError | None:
    """Returns why this person cannot vote on it now."""
    if row.state != ApprovalState.PENDING:
        return already_decided(row.state, " and ".join(vote.name for vote in votes))
    # A key and every login of it are one: each holder of a key can log in with it, programs too. Without a
    # key there is the user of this machine alone, who owns the database and is asked so that they look.
    if agrees and person_of(principal) != THIS_MACHINE and principal.id == row.requester_id:
        return Forbidden(
            "approval.own_question",
            "Whoever asks cannot also agree: neither with the same key nor with a login of that key.",
            "Ask somebody with a key of their own, or decide at the server's prompt.",
        )
    if any(vote.person == person_of(principal) for vote in votes):
        return Conflict(
            "approval.voted",
            "You have agreed already; another person has to agree too.",
            "Ask somebody else.",
        )
    return None
