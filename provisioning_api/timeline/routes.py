"""REST of time lines."""

from __future__ import annotations

from fastapi import APIRouter

from provisioning_api.reach import ProvisioningDep, ReadMachines
from provisioning_api.timeline.service import Timeline

router = APIRouter(prefix="/api/machines", tags=["machines"])


@router.get("/{name}/timeline")
async def read_timeline(name: str, services: ProvisioningDep, _: ReadMachines) -> Timeline:
    """Returns the timeline from power-on to ready, with the critical path."""
    return await services.timeline.timeline(name)
