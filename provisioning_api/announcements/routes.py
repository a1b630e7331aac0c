"""REST of announcements."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, status

from provisioning_api.announcements.schemas import AnnouncementRequest, AnnouncementView, BmcAnnouncement
from provisioning_api.reach import AcceptMachines, ProvisioningDep, ReadMachines, SwitchMachines

router = APIRouter(prefix="/api/announcements", tags=["machines"])


@router.get("")
async def list_announcements(services: ProvisioningDep, _: ReadMachines) -> list[AnnouncementView]:
    """By serial number, without their secrets."""
    return await services.announcements.list()


@router.post("", status_code=status.HTTP_201_CREATED)
async def announce_machine(
    request: AnnouncementRequest, services: ProvisioningDep, principal: AcceptMachines
) -> AnnouncementView:
    """A machine is expected: a rule with `when.announced` may accept it once it proves the secret."""
    return await services.announcements.announce(request, by=principal.name)


@router.post("/bmc", status_code=status.HTTP_201_CREATED)
async def announce_machine_over_bmc(
    request: BmcAnnouncement, services: ProvisioningDep, principal: AcceptMachines, _: SwitchMachines
) -> AnnouncementView:
    """A machine is expected by the word of its BMC, which is told a secret that counts for two hours."""
    return await services.bmc_announcer.announce(request, by=principal.name)


@router.delete("/{serial}", status_code=status.HTTP_204_NO_CONTENT)
async def withdraw_announcement(
    serial: Annotated[str, Path(max_length=200)], services: ProvisioningDep, principal: AcceptMachines
) -> None:
    await services.announcements.withdraw(serial, by=principal.name)
