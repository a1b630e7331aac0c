"""REST of time lines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from policy import Principal, require_permission
from provisioning_api.reach import ProvisioningDep
from provisioning_api.timeline.service import Timeline

router = APIRouter(prefix="/api/machines", tags=["machines"])

ReadMachines = Annotated[Principal, Depends(require_permission("machine:read"))]


@router.get("/{name}/timeline")
async def read_timeline(name: str, services: ProvisioningDep, _: ReadMachines) -> Timeline:
    """Returns the timeline from power-on to ready, with the critical path."""
    return await services.timeline.timeline(name)
