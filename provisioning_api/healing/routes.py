"""REST of healing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from policy import Principal, require_permission
from provisioning_api.healing.schemas import HealingView, ResumeRequest
from provisioning_api.reach import AcceptMachines, ProvisioningDep, ReadMachines

router = APIRouter(prefix="/api", tags=["healing"])

DrainMachines = Annotated[Principal, Depends(require_permission("machine:drain"))]


@router.get("/healing")
async def list_healing(services: ProvisioningDep, _: ReadMachines) -> list[HealingView]:
    """Lists the machines that are being healed, or need an operator for it; newest first."""
    return list(await services.healing.list_open())


@router.get("/machines/{name}/healing")
async def read_healing(
    name: str, services: ProvisioningDep, _: ReadMachines, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[HealingView]:
    """Lists the healing cases of a machine, newest first."""
    return list(await services.healing.history(name, limit))


@router.post("/machines/{name}/healing/pause")
async def pause_healing(name: str, services: ProvisioningDep, principal: DrainMachines) -> HealingView:
    """Stops healing of a machine; a reinstallation that has begun goes on."""
    return await services.healing.pause(name, by=principal.name)


@router.post("/machines/{name}/healing/resume")
async def resume_healing(
    name: str, request: ResumeRequest, services: ProvisioningDep, principal: AcceptMachines
) -> HealingView:
    """Goes on, with the consent that the case asks for: `accept` because that may write its disks."""
    return await services.healing.resume(name, request, by=principal.name)
