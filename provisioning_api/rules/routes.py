"""REST of rules."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, status

from policy import Principal, require_permission
from provisioning_api.reach import ProvisioningDep
from provisioning_api.rules.schemas import Rule, RuleChange, RuleView

router = APIRouter(prefix="/api/rules", tags=["rules"])

ReadRules = Annotated[Principal, Depends(require_permission("rule:read"))]
UpdateRules = Annotated[Principal, Depends(require_permission("rule:update"))]


@router.get("")
async def list_rules(services: ProvisioningDep, _: ReadRules) -> list[RuleView]:
    return await services.rules.list()


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_rule(rule: Rule, services: ProvisioningDep, principal: UpdateRules) -> Rule:
    """Acts on machines that report from now on."""
    return await services.rules.create(rule, by=principal.name)


@router.patch("/{name}")
async def change_rule(
    name: str, change: RuleChange, services: ProvisioningDep, principal: UpdateRules
) -> Rule:
    """Also switches it on and off."""
    return await services.rules.change(name, change, by=principal.name)


@router.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_rule(name: str, services: ProvisioningDep, principal: UpdateRules) -> None:
    await services.rules.remove(name, by=principal.name)
