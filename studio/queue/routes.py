"""REST of the queue: what runs, what waits and why, and cancelling several at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, status

from studio.guards import CancelRenders, ReadRenders
from studio.queue.schemas import Cancelled, CancelPlan, CancelRequest, QueueView
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/queue", tags=["queue"])


@router.get("")
async def read_queue(
    studio: StudioDep, _: ReadRenders, limit: Annotated[int, Query(ge=1, le=500)] = 200
) -> QueueView:
    """Returns what is made now, and what waits, in the order in which it will run.
    `PATCH /api/renders/{render_id}` changes a `priority`.
    """
    return await studio.queue.read(limit)


@router.post("/cancel/plan")
async def plan_cancel(request: CancelRequest, studio: StudioDep, _: CancelRenders) -> CancelPlan:
    """Returns what cancelling these renders would end; changes nothing."""
    return await studio.queue.plan_cancel(request.renders)


@router.post("/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_renders(request: CancelRequest, studio: StudioDep, principal: CancelRenders) -> Cancelled:
    """Cancels renders by the plan that was shown; those that have ended stay as they are."""
    return await studio.queue.cancel(request, by=principal.name)
