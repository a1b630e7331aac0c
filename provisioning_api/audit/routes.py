"""REST of the audit record."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from policy import Principal, require_permission
from policy.audit import AuditVerdict
from provisioning_api.audit.service import AuditView
from provisioning_api.reach import ProvisioningDep
from soundstage.paging import PAGED, PagingDep

router = APIRouter(prefix="/api/audit", tags=["audit"])

AuditSort = Literal["number", "-number"]
ReadAudit = Annotated[Principal, Depends(require_permission("audit:read"))]


@router.get("", responses=PAGED)
async def read_audit(
    services: ProvisioningDep,
    _: ReadAudit,
    paging: PagingDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    sort: AuditSort = "number",
) -> list[AuditView]:
    """Oldest first, or newest first with `sort=-number`. `Link` leads to the next page. Who follows the
    record names the number of the last one seen by `after`, and gets no total.
    """
    if after:
        return await services.audit.read(after, limit, subject)
    page = await services.audit.find_page(subject, paging.ask(limit), newest_first=sort == "-number")
    return paging.answer(page)


@router.get("/verdict")
async def verify_audit(services: ProvisioningDep, _: ReadAudit) -> AuditVerdict:
    """Verifies the hash chain of all records."""
    return await services.audit.verify()
