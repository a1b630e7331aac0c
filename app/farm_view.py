"""Machines and runs for the page, read from the provisioning API, which is another process."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.machines_api import machines_api
from policy import Principal, require_permission
from provisioning_api.machines.schemas import MachineView
from provisioning_api.runs.schemas import RunView
from soundstage.settings import Settings

ReadMachines = Annotated[Principal, Depends(require_permission("machine:read"))]
ReadRuns = Annotated[Principal, Depends(require_permission("run:read"))]


def farm_view_router(settings: Settings) -> APIRouter:
    """Routes below `/api/farm`. They only read; what changes machines goes through the agent's tools."""
    router = APIRouter(prefix="/api/farm", tags=["farm"])

    @router.get("/machines")
    async def list_machines(_: ReadMachines) -> list[MachineView]:
        """All machines, by name."""
        async with machines_api(settings) as api:
            return [MachineView.model_validate(one) for one in await api.get("/api/machines")]

    @router.get("/runs")
    async def list_runs(_: ReadRuns, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[RunView]:
        """Runs of Ansible, the newest first."""
        async with machines_api(settings) as api:
            return [RunView.model_validate(one) for one in await api.get("/api/runs", limit=limit)]

    return router
