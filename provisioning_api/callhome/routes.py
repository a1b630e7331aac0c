"""REST of the call home, in the shape that machines in the field speak."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, status

from policy import Principal, public, require_permission
from provisioning_api.callhome.schemas import CallHome, CallHomeAnswer, PinRequest, ProvisioningStatus
from provisioning_api.enrolment.agent_routes import Source
from provisioning_api.enrolment.repository import MachineTokens
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.reach import ProvisioningDep

router = APIRouter(tags=["call home"])

ReadMachines = Annotated[Principal, Depends(require_permission("machine:read"))]
AcceptMachines = Annotated[Principal, Depends(require_permission("machine:accept"))]


_API_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """`machine_id` when the token is that of an enrolled machine; else somebody with an API key."""

    name: str
    machine_id: str | None


async def caller(request: Request, services: ProvisioningDep) -> Caller:
    """A machine's own token, or a key with `machine:call_home`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # API keys are 64 hex digits and machines' tokens are not: one look at the database serves either.
    if scheme.lower() == "bearer" and token and not _API_KEY.fullmatch(token.strip()):
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        async with services.db.session() as session:
            machine_id = await MachineTokens(session).machine_of(digest)
        if machine_id is not None:
            return Caller("its own call", machine_id)
    principal: Principal = await request.app.state.policy.authenticate(request)
    principal.require("machine:call_home")
    return Caller(principal.name, None)


@router.post(
    "/api/ready-for-provisioning",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Depends(public("the call carries a machine's token or a key with machine:call_home"))],
)
async def ready_for_provisioning(
    call: CallHome, services: ProvisioningDep, source: Source, known: Annotated[Caller, Depends(caller)]
) -> CallHomeAnswer:
    """An installed machine says that it is there. What it may be is decided by operators and rules."""
    return await services.callhome.called(call, source=source, own=known.machine_id, by=known.name)


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
