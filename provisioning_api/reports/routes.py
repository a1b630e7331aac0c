"""The route of reports."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from provisioning_api.enrolment.ramdisk_routes import AGENT_PREFIX, SIGNED, require_tls
from provisioning_api.enrolment.schemas import SignedCall
from provisioning_api.reach import ProvisioningDep
from provisioning_api.reports.schemas import ReportTaken

router = APIRouter(prefix=AGENT_PREFIX, tags=["agent"], dependencies=[Depends(require_tls)])


@router.post("/report", dependencies=SIGNED)
async def report(call: SignedCall, services: ProvisioningDep) -> ReportTaken:
    """Spans, a failure, or that the disks were wiped."""
    return await services.reports.take(call)
