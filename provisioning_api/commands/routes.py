"""REST of commands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from policy import Principal, require_permission
from provisioning_api.commands.service import CommandPlan, CommandRequest, CommandResult, CommandView
from provisioning_api.reach import ProvisioningDep, ReadMachines

router = APIRouter(tags=["commands"])

RunCommands = Annotated[Principal, Depends(require_permission("machine:command"))]


@router.get("/api/commands")
async def list_commands(services: ProvisioningDep, _: ReadMachines) -> list[CommandView]:
    """Lists the commands that may be run on a machine."""
    return services.commands.list_allowed()


@router.post("/api/machines/{name}/commands")
async def run_command(
    name: str, request: CommandRequest, services: ProvisioningDep, principal: RunCommands
) -> CommandResult:
    """Runs an allowed command on a member and answers with what it said."""
    return await services.commands.run(name, request, by=principal.name)


@router.post("/api/machines/{name}/commands/plan")
async def plan_command(
    name: str, request: CommandRequest, services: ProvisioningDep, _: RunCommands
) -> CommandPlan:
    """Plans a command and checks that it may be run there; runs nothing."""
    return await services.commands.plan(name, request)
