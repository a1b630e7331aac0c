"""Routes for firmware and iPXE, and for agents that begin to write a disk."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from pydantic import BeforeValidator

from policy import public
from provisioning_api.boot.scripts import Place, first_script
from provisioning_api.boot.service import WriteGrant
from provisioning_api.enrolment.ramdisk_routes import AGENT_PREFIX, SIGNED, require_tls
from provisioning_api.enrolment.schemas import SignedCall
from provisioning_api.machines.identity import check_mac
from provisioning_api.reach import ProvisioningDep
from soundstage.errors import Invalid

router = APIRouter(tags=["boot"])

FIRMWARE = [
    Depends(public("firmware holds nothing to be known by; the answer is no secret and writes nothing"))
]
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\]")

MacInPath = Annotated[str, BeforeValidator(check_mac)]


def place_of(request: Request, services: ProvisioningDep) -> Place:
    """From the settings, else from how the machine asked: its Host goes into its own script and nowhere
    else.
    """
    try:
        host, port = request.url.hostname or "", request.url.port
    except ValueError as error:
        raise _bad_host() from error
    host = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(host):
        raise _bad_host()
    return services.places.place(host, port)


def _bad_host() -> Invalid:
    return Invalid("boot.bad_host", "The Host header names no host.", "Ask by name or address.", status=400)


@router.get("/boot/first.ipxe", dependencies=FIRMWARE, response_class=PlainTextResponse)
async def read_first_script(place: Annotated[Place, Depends(place_of)]) -> PlainTextResponse:
    """The same for every machine: asks for the script of this one."""
    return PlainTextResponse(first_script(place))


@router.get("/boot/{mac}.ipxe", dependencies=FIRMWARE, response_class=PlainTextResponse)
async def read_script(
    mac: MacInPath, services: ProvisioningDep, place: Annotated[Place, Depends(place_of)]
) -> PlainTextResponse:
    """For this very machine and state; the local disk when nothing else was decided."""
    return PlainTextResponse(await services.boot.script(mac, place))


@router.get("/boot/{mac}/preseed.cfg", dependencies=FIRMWARE, response_class=PlainTextResponse)
async def read_preseed(mac: MacInPath, services: ProvisioningDep) -> PlainTextResponse:
    """Returns the preseed of this machine, where the installer is published. It holds no secret."""
    return PlainTextResponse(await services.boot.read_preseed(mac))


agent_router = APIRouter(prefix=AGENT_PREFIX, tags=["agent"], dependencies=[Depends(require_tls)])


@agent_router.post("/write", dependencies=SIGNED)
async def begin_write(call: SignedCall, services: ProvisioningDep) -> WriteGrant:
    """The yes to one write. It is used up by asking; a machine that boots twice gets it once."""
    return await services.boot.begin_write(call)
