"""REST of the inventory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from provisioning_api.machines.states import MEMBERS, MachineState
from provisioning_api.reach import ProvisioningDep, ReadMachines

router = APIRouter(tags=["inventory"])


@router.get("/api/inventory")
async def read_inventory(
    services: ProvisioningDep,
    _: ReadMachines,
    state: Annotated[list[MachineState] | None, Query(max_length=20)] = None,
) -> dict[str, Any]:
    """Returns the output of `ansible-inventory --list` for members, or for machines in other states."""
    return await services.inventory.listing(state or MEMBERS)
