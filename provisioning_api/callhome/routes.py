"""REST of the call home, in the shape that machines in the field speak."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, status

from policy import Principal, public
from policy.decisions import Action
from provisioning_api.callhome.schemas import CallHome, CallHomeAnswer, PinRequest, ProvisioningStatus
from provisioning_api.callhome.service import Caller
from provisioning_api.enrolment.own_token import own_machine
from provisioning_api.enrolment.ramdisk_routes import Source
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.reach import AcceptMachines, ProvisioningDep, ReadMachines

router = APIRouter(tags=["call home"])
CALL_HOME = "machine:call_home"


async def caller(request: Request, services: ProvisioningDep) -> Caller:
    """A machine's own token, or a key with `machine:call_home`."""
    machine_id = await own_machine(request, services)
    if machine_id is not None:
        return Caller("its own call", machine_id)
    policy = request.app.state.policy
    # Machines in the field call by plain HTTP, with a key that is good for nothing else.
    principal: Principal = await policy.authenticator.authenticate(request, check_tls=False)
    if any(name != CALL_HOME and not name.startswith("self:") for name in principal.permissions):
        policy.authenticator.require_tls(request)
    action = Action("route", "POST /api/ready-for-provisioning", CALL_HOME)
    await policy.decider.require(principal, action)
    return Caller(principal.name, None, may_set_address="machine:update" in principal.permissions)


@router.post(
    "/api/ready-for-provisioning",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Depends(public("the call carries a machine's token or a key with machine:call_home"))],
)
async def ready_for_provisioning(
    call: CallHome, services: ProvisioningDep, source: Source, known: Annotated[Caller, Depends(caller)]
) -> CallHomeAnswer:
    """An installed machine says that it is there. What it may be is decided by operators and rules."""
    return await services.callhome.call(call, known, source)


@router.get("/api/provisioning/status")
async def list_statuses(services: ProvisioningDep, _: ReadMachines) -> list[ProvisioningStatus]:
    """Every machine, by name."""
    return await services.callhome.statuses()


@router.get("/api/provisioning/status/{hostname}")
async def get_status(hostname: str, services: ProvisioningDep, _: ReadMachines) -> ProvisioningStatus:
    return await services.callhome.status(hostname)


@router.post("/api/machines/{name}/pin")
async def pin_machine(
    name: str, request: PinRequest, services: ProvisioningDep, principal: AcceptMachines
) -> MachineDetail:
    """Knows an accepted machine by its SSH host key, without enrolment."""
    return await services.callhome.pin(name, request, by=principal.name)
