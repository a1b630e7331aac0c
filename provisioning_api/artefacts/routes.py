"""REST of artefacts: published by operators, fetched by machines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, PlainTextResponse

from policy import Principal, public, require_permission
from provisioning_api.artefacts.manifest import MANIFEST, SIGNATURE, Manifest
from provisioning_api.reach import ProvisioningDep

router = APIRouter(tags=["artefacts"])

PublishArtefacts = Annotated[Principal, Depends(require_permission("artefact:publish"))]
BOOTING = [Depends(public("machines fetch these before they hold anything to be known by"))]


@router.post("/api/artefacts/publish")
async def publish(services: ProvisioningDep, principal: PublishArtefacts) -> Manifest:
    """Signs what lies in the folder of the artefacts."""
    return await services.artefacts.publish(by=principal.name)


@router.get("/boot/manifest.json", dependencies=BOOTING, response_class=FileResponse)
async def read_manifest(services: ProvisioningDep) -> FileResponse:
    return FileResponse(services.artefacts.path(MANIFEST), media_type="application/json")


@router.get("/boot/manifest.json.sig", dependencies=BOOTING, response_class=FileResponse)
async def read_signature(services: ProvisioningDep) -> FileResponse:
    """Ed25519 over the bytes of the manifest, in hex."""
    return FileResponse(services.artefacts.path(SIGNATURE), media_type="text/plain")


@router.get("/boot/manifest.pub", dependencies=BOOTING, response_class=PlainTextResponse)
async def read_public_key(services: ProvisioningDep) -> PlainTextResponse:
    """The public key in hex, for building agents. An agent that fetches it from here verifies nothing."""
    return PlainTextResponse(services.artefacts.public_key.hex() + "\n")


@router.get("/boot/artefacts/{name}", dependencies=BOOTING, response_class=FileResponse)
async def read_artefact(name: str, services: ProvisioningDep) -> FileResponse:
    """A published file; ranges are served."""
    return FileResponse(services.artefacts.path(name), media_type="application/octet-stream")
