"""REST of power."""

from __future__ import annotations

from fastapi import APIRouter, status

from provisioning_api.power.schemas import PowerAction, PowerDone, PowerRequest, PowerSetup, PowerState
from provisioning_api.reach import ProvisioningDep, ReadMachines, SwitchMachines, UpdateMachines

router = APIRouter(prefix="/api/machines", tags=["power"])


@router.put("/{name}/power", status_code=status.HTTP_204_NO_CONTENT)
async def set_up_power(
    name: str, setup: PowerSetup, services: ProvisioningDep, principal: UpdateMachines
) -> None:
    """Stores how this machine is switched; passwords are encrypted and never returned."""
    await services.power.set_up(name, setup, by=principal.name)


@router.get("/{name}/power")
async def read_power(name: str, services: ProvisioningDep, _: ReadMachines) -> PowerState:
    """Asks its BMC."""
    return await services.power.state(name)


@router.post("/{name}/power")
async def switch_power(
    name: str, request: PowerRequest, services: ProvisioningDep, principal: SwitchMachines
) -> PowerDone:
    return await services.power.switch(name, request.action, by=principal.name)


@router.post("/{name}/netboot")
async def boot_from_network(name: str, services: ProvisioningDep, principal: SwitchMachines) -> PowerDone:
    """Its next start is from the network, and that is now. What it boots there is decided by its state."""
    steps = (PowerAction.BOOT_NETWORK, PowerAction.CYCLE)
    return await services.power.switch(name, *steps, by=principal.name)
