"""REST of the audit log."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from policy.audit.head import Head
from policy.audit.repository import AuditFilter
from policy.audit.schemas import AuditHead, AuditLineOut, AuditTrail, AuditVerdict
from policy.audit.service import AuditLog
from policy.guard import require_permission
from policy.principal import Principal
from soundstage.paging import PAGED, PagingDep
from soundstage.routers import AppService

AuditSort = Literal["number", "-number"]
Reader = Annotated[Principal, Depends(require_permission("audit:read"))]


Audit = Annotated[AuditLog, Depends(AppService("audit"))]
router = APIRouter(prefix="/api", tags=["audit"])


@router.get("/audit", responses=PAGED)
async def read_audit(
    audit: Audit,
    principal: Reader,
    paging: PagingDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    sort: AuditSort = "number",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    kind: Annotated[str, Query(max_length=40, description="its beginning, such as `tool.`")] = "",
    actor: Annotated[str, Query(max_length=200)] = "",
    about: Annotated[str, Query(max_length=200, description="an id: subject, session or trace")] = "",
) -> list[AuditLineOut]:
    """One's tenant's, oldest first, or newest first with `sort=-number`. `Link` leads to the next page.
    Who follows the log names the last line seen by `after`, and gets no total: counting reads all lines.
    """
    criteria = AuditFilter(kind, actor, about)
    if after:
        return await audit.read(after, limit, principal.tenant, criteria)
    page = await audit.find_page(
        principal.tenant, paging.ask(limit), newest_first=sort == "-number", criteria=criteria
    )
    return paging.answer(page)


@router.get("/audit/verdict")
async def verify_audit(
    audit: Audit, _: Reader, head: Annotated[str | None, Query(max_length=90, examples=["118:9f2c…"])] = None
) -> AuditVerdict:
    """Check that no line was changed, removed or put in; also against a head kept elsewhere."""
    return await audit.verify(None if head is None else Head.parse(head))


@router.get("/audit/head")
async def audit_head(audit: Audit, _: Reader) -> AuditHead | None:
    """Returns the head of the log, to be stored where an attacker on this machine cannot change it."""
    return await audit.head()


@router.get("/traces/{record_id}")
async def trace(
    record_id: Annotated[str, Path(max_length=80)], audit: Audit, principal: Reader
) -> AuditTrail:
    """Returns the audit trail of an id: from the request to its outcome."""
    return await audit.trail(record_id, principal.tenant)
