"""All routers of this room, for the application."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from policy import public
from provisioning_api.announcements import routes as announcements
from provisioning_api.artefacts import routes as artefacts
from provisioning_api.audit import routes as audit
from provisioning_api.boot import routes as boot
from provisioning_api.callhome import routes as callhome
from provisioning_api.commands import routes as commands
from provisioning_api.decommission import routes as decommission
from provisioning_api.enrolment import ramdisk_routes
from provisioning_api.enrolment import routes as enrolment
from provisioning_api.inventory import routes as inventory
from provisioning_api.machines import routes as machines
from provisioning_api.power import routes as power
from provisioning_api.reports import routes as reports
from provisioning_api.rules import routes as rules
from provisioning_api.runs import routes as runs
from provisioning_api.timeline import routes as timeline

health = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str = "ok"


@health.get("/health", dependencies=[Depends(public("load balancers ask before anybody can log in"))])
@health.get("/api/health", dependencies=[Depends(public("load balancers ask before anybody can log in"))])
async def read_health() -> Health:
    """Return `ok` while the server answers."""
    return Health()


def routers() -> tuple[APIRouter, ...]:
    # The artefacts before the scripts: `manifest.json` is no MAC address.
    rooms = (
        machines,
        announcements,
        enrolment,
        ramdisk_routes,
        reports,
        artefacts,
        boot,
        callhome,
        rules,
        runs,
        commands,
        power,
        timeline,
        decommission,
        inventory,
        audit,
    )
    return (health, boot.agent_router, machines.events_router, *(room.router for room in rooms))
