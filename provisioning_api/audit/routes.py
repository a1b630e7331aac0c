"""REST of the audit record."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from policy import Principal, require_permission
from provisioning_api.audit.service import AuditView, Verdict
from provisioning_api.reach import ProvisioningDep

router = APIRouter(prefix="/api/audit", tags=["audit"])

ReadAudit = Annotated[Principal, Depends(require_permission("audit:read"))]


@router.get("")
async def read_audit(
    services: ProvisioningDep,
    _: ReadAudit,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    subject: Annotated[str | None, Query(max_length=200)] = None,
) -> list[AuditView]:
    """Oldest first; `after` is the number of the last one seen."""
    return await services.audit.read(after, limit, subject)


@router.get("/verdict")
async def verify_audit(services: ProvisioningDep, _: ReadAudit) -> Verdict:
    """Whether every record is as it was written."""
    return await services.audit.verify()
