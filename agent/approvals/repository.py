"""All SQL of approvals; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from agent.approvals.models import Approval, ApprovalVote
from agent.approvals.states import OPEN, ApprovalState
from soundstage.database import server_time
from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, select_page

NEWEST_FIRST = Order(Approval.id, Approval.created_at, datetime)


class Approvals(Repository[Approval | ApprovalVote]):
    async def get(self, approval_id: str) -> Approval | None:
        return await self._session.get(Approval, approval_id)

    async def page(self, tenant: str, states: Collection[str], request: PageRequest) -> Page[Approval]:
        """Returns a page, the newest first; of all states when none is given."""
        where = [Approval.tenant == tenant]
        if states:
            where.append(Approval.state.in_(states))
        scope = {"of": tenant, "states": sorted(states)}
        return await select_page(self._session, Approval, NEWEST_FIRST, request, where=where, scope=scope)

    async def open_for(
        self, tool: str, arguments_sha256: str, requester_id: str, session_id: str
    ) -> Sequence[Approval]:
        """Returns open approvals of exactly this call, the oldest first."""
        query = (
            select(Approval)
            .where(Approval.state.in_(OPEN))
            .where(Approval.tool == tool, Approval.arguments_sha256 == arguments_sha256)
            .where(Approval.requester_id == requester_id, Approval.session_id == session_id)
        )
        return await self._all(query.order_by(Approval.created_at))

    async def of_requester(self, tenant: str, requester_id: str) -> Sequence[Approval]:
        """Returns all approvals of a requester, ended ones too."""
        query = select(Approval).where(Approval.tenant == tenant, Approval.requester_id == requester_id)
        return await self._all(query.order_by(Approval.created_at))

    async def list_approved(self) -> Sequence[Approval]:
        """Returns approved calls that have not run, the oldest first."""
        query = select(Approval).where(Approval.state == ApprovalState.APPROVED)
        return await self._all(query.order_by(Approval.created_at))

    async def overdue(self, now: datetime) -> Sequence[Approval]:
        """Returns expired open approvals, and running ones whose lease has run out."""
        open_ones = select(Approval).where(Approval.state.in_(OPEN), Approval.expires_at <= now)
        has_ended = Approval.alive_until <= server_time()
        running = select(Approval).where(Approval.state == ApprovalState.RUNNING, has_ended)
        return [*(await self._session.scalars(open_ones)), *(await self._session.scalars(running))]

    async def votes(self, approval_id: str) -> Sequence[ApprovalVote]:
        query = select(ApprovalVote).where(ApprovalVote.approval_id == approval_id)
        return await self._all(query.order_by(ApprovalVote.at))
