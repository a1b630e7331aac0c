"""REST of triggers: `/api/triggers`. They are planned in conversation; here they are listed and cancelled."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from agent.triggers.schemas import TriggerOut
from agent.triggers.service import TriggerService
from policy import Principal, require_permission
from soundstage.routers import AppService

Reader = Annotated[Principal, Depends(require_permission("trigger:read"))]
Canceller = Annotated[Principal, Depends(require_permission("trigger:cancel"))]
Triggers = Annotated[TriggerService, Depends(AppService("triggers"))]
router = APIRouter(prefix="/api/triggers", tags=["triggers"])


@router.get("")
async def list_triggers(
    triggers: Triggers,
    principal: Reader,
    ended: Annotated[bool, Query(description="those that have fired, failed or were cancelled")] = False,
) -> Sequence[TriggerOut]:
    """One's own that wait; with `ended`, the last ones that do not any more."""
    return await triggers.find(principal, ended=ended)


@router.post("/{trigger_id}/cancel")
async def cancel_trigger(
    triggers: Triggers,
    principal: Canceller,
    trigger_id: Annotated[str, Path(pattern="^trg_[0-9a-z]{1,40}$")],
) -> TriggerOut:
    """Cancels one of one's own that waits."""
    return await triggers.cancel_one(principal, trigger_id)
