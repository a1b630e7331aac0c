"""REST of retiring."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from policy import Principal, require_permission
from provisioning_api.decommission.schemas import RetirePlan, RetireRequest
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.reach import ProvisioningDep

router = APIRouter(prefix="/api/machines", tags=["machines"])

RetireMachines = Annotated[Principal, Depends(require_permission("machine:retire"))]


@router.get("/{name}/retire")
async def read_retire_plan(
    name: str, services: ProvisioningDep, _: RetireMachines, wipe: bool = True, drain: bool = True
) -> RetirePlan:
    """Plans a retirement and returns the digest of that plan; changes nothing."""
    return await services.decommission.plan(name, wipe=wipe, drain=drain)


@router.post("/{name}/retire")
async def retire_machine(
    name: str, request: RetireRequest, services: ProvisioningDep, principal: RetireMachines
) -> MachineDetail:
    """Drains it, revokes all that it holds, and wipes it at its next network boot."""
    return await services.decommission.retire(name, request, by=principal.name)
