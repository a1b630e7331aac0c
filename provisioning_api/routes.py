"""All routers of this room, for the application."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from policy import public
from provisioning_api.audit import routes as audit
from provisioning_api.callhome import routes as callhome
from provisioning_api.enrolment import agent_routes
from provisioning_api.enrolment import routes as enrolment
from provisioning_api.inventory import routes as inventory
from provisioning_api.machines import routes as machines
from provisioning_api.rules import routes as rules
from provisioning_api.runs import routes as runs

health = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str = "ok"


@health.get("/api/health", dependencies=[Depends(public("load balancers ask before anybody can log in"))])
async def read_health() -> Health:
    return Health()


def routers() -> tuple[APIRouter, ...]:
    rooms = (machines, enrolment, agent_routes, callhome, rules, runs, inventory, audit)
    return (health, *(room.router for room in rooms))
