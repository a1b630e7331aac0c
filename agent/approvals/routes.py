"""REST of approvals."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from agent.approvals.decisions import ApprovalDecisions
from agent.approvals.schemas import ApprovalOut, VoteRequest
from agent.approvals.states import ApprovalState
from policy import Principal, require_permission
from soundstage.paging import PAGED, PagingDep
from soundstage.routers import AppService

Reader = Annotated[Principal, Depends(require_permission("approval:read"))]
Voter = Annotated[Principal, Depends(require_permission("approval:decide"))]


Decisions = Annotated[ApprovalDecisions, Depends(AppService("decisions"))]
router = APIRouter(prefix="/api/approvals", tags=["approvals"])


@router.get("", responses=PAGED)
async def list_approvals(
    decisions: Decisions,
    principal: Reader,
    paging: PagingDep,
    state: Annotated[list[ApprovalState] | None, Query(description="only these; repeatable")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[ApprovalOut]:
    """Lists approvals, open and ended, the newest first. `Link` leads to the next page."""
    return paging.answer(await decisions.approvals.find_page(principal, state or (), paging.ask(limit)))


@router.get("/{approval_id}")
async def get_approval(approval_id: str, decisions: Decisions, principal: Reader) -> ApprovalOut:
    """One approval with its plan and the votes."""
    return await decisions.approvals.get(approval_id, principal)


@router.post("/{approval_id}/approve")
async def approve(approval_id: str, vote: VoteRequest, decisions: Decisions, principal: Voter) -> ApprovalOut:
    """Agrees to the plan. When enough people have agreed, the call runs."""
    return await decisions.vote(approval_id, principal, agrees=True, reason=vote.reason)


@router.post("/{approval_id}/deny")
async def deny(approval_id: str, vote: VoteRequest, decisions: Decisions, principal: Voter) -> ApprovalOut:
    """Refuses it; one no is enough."""
    return await decisions.vote(approval_id, principal, agrees=False, reason=vote.reason)
