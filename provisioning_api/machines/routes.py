"""REST of machines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse

from provisioning_api.machines.journal import STREAM
from provisioning_api.machines.schemas import (
    Acceptance,
    KeyChoice,
    MachineChange,
    MachineDetail,
    MachineView,
    ReportView,
)
from provisioning_api.machines.states import MachineState
from provisioning_api.reach import AcceptMachines, ProvisioningDep, ReadMachines, UpdateMachines
from soundstage.events import sse_response

router = APIRouter(prefix="/api/machines", tags=["machines"])
events_router = APIRouter(tags=["machines"])


@router.get("")
async def list_machines(
    services: ProvisioningDep,
    _: ReadMachines,
    state: Annotated[list[MachineState] | None, Query(max_length=20)] = None,
    pool: Annotated[str | None, Query(max_length=40)] = None,
) -> list[MachineView]:
    """By name."""
    return await services.machines.list(state or (), pool)


@events_router.get("/api/events", response_class=EventSourceResponse)
async def follow_machines(request: Request, services: ProvisioningDep, _: ReadMachines) -> Response:
    """Server-sent events of all machines, from now on or after Last-Event-ID."""
    return sse_response(request, services.events, STREAM, after=await services.events.last_id())


@router.get("/{name}")
async def get_machine(name: str, services: ProvisioningDep, _: ReadMachines) -> MachineDetail:
    """By name or id, with its hardware and what comes next."""
    return await services.machines.get(name)


@router.get("/{name}/hardware")
async def list_reports(
    name: str,
    services: ProvisioningDep,
    _: ReadMachines,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[ReportView]:
    """Lists hardware changes from boot to boot, newest first."""
    return list(await services.machines.reports(name, limit))


@router.post("/{name}/accept")
async def accept_machine(
    name: str, acceptance: Acceptance, services: ProvisioningDep, principal: AcceptMachines
) -> MachineDetail:
    """A yes to the machine whose key has this code: it may be written to once, and be enrolled within fifteen
    minutes.
    """
    return await services.intake.accept(name, acceptance, by=principal.name)


@router.post("/{name}/key")
async def choose_key(
    name: str, choice: KeyChoice, services: ProvisioningDep, principal: AcceptMachines
) -> MachineDetail:
    """Ends a conflict: of the keys that report as this machine the one with this code counts from now on."""
    return await services.intake.choose_key(name, choice.code, by=principal.name)


@router.post("/{name}/reject")
async def reject_machine(name: str, services: ProvisioningDep, principal: AcceptMachines) -> MachineDetail:
    """A no, or a yes taken back."""
    return await services.machines.reject(name, by=principal.name)


@router.patch("/{name}")
async def change_machine(
    name: str, change: MachineChange, services: ProvisioningDep, principal: UpdateMachines
) -> MachineDetail:
    """Name, pool, tags, address."""
    return await services.machines.change(name, change, by=principal.name)
