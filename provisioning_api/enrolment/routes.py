"""REST of enrolments for operators, and the public keys of our authorities."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, status
from fastapi.responses import PlainTextResponse

from policy import Principal, public, require_permission
from provisioning_api.enrolment.schemas import Armed, ArmRequest, CredentialView, EnrolmentView
from provisioning_api.reach import ProvisioningDep, ReadMachines

router = APIRouter(tags=["enrolment"])

CreateEnrolments = Annotated[Principal, Depends(require_permission("enrolment:create"))]
RevokeEnrolments = Annotated[Principal, Depends(require_permission("enrolment:revoke"))]
PUBLIC = [Depends(public("public keys and revocations are for everybody"))]


@router.post("/api/machines/{name}/enrolments", status_code=status.HTTP_201_CREATED)
async def arm(
    name: str, request: ArmRequest, services: ProvisioningDep, principal: CreateEnrolments
) -> Armed:
    """Opens the window of one enrolment, for fifteen minutes at most."""
    return await services.enrolments.authorize(name, request, by=principal.name)


@router.get("/api/machines/{name}/enrolments")
async def list_enrolments(name: str, services: ProvisioningDep, _: ReadMachines) -> list[EnrolmentView]:
    """Newest first."""
    return await services.enrolments.of_machine(name)


@router.delete("/api/machines/{name}/enrolments", status_code=status.HTTP_204_NO_CONTENT)
async def disarm(name: str, services: ProvisioningDep, principal: RevokeEnrolments) -> None:
    """Closes every open window of a machine."""
    await services.enrolments.cancel(name, by=principal.name)


@router.get("/api/machines/{name}/credentials")
async def list_credentials(name: str, services: ProvisioningDep, _: ReadMachines) -> list[CredentialView]:
    """Serial numbers and ends of what a machine holds; never the certificates' keys, which we do not have."""
    return await services.enrolments.credentials_of(name)


@router.get("/api/ca.pem", dependencies=PUBLIC, response_class=PlainTextResponse)
async def read_ca(services: ProvisioningDep) -> PlainTextResponse:
    """Our certificate authority. Compare its fingerprint with `soundstage machines authority` before
    trusting it.
    """
    return PlainTextResponse(services.tls.pem, media_type="application/x-pem-file")


@router.get("/api/ca.crl", dependencies=PUBLIC, response_class=PlainTextResponse)
async def read_crl(services: ProvisioningDep) -> PlainTextResponse:
    """Returns the CRL in PEM."""
    return PlainTextResponse(await services.revocations.crl(), media_type="application/pkix-crl")


@router.get("/api/ssh/known_hosts", dependencies=PUBLIC, response_class=PlainTextResponse)
async def read_known_hosts(services: ProvisioningDep) -> PlainTextResponse:
    """For a known_hosts file: our host authority, and the host keys that were revoked."""
    return PlainTextResponse(await services.revocations.host_key_list())
