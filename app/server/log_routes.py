"""`GET /api/logs`: log lines of the servers, by trace id; the page and `soundstage logs` read them."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from policy import Principal, require_permission
from soundstage.telemetry.log_files import FOLDER, find_lines, journals_here

ReadLogs = Annotated[Principal, Depends(require_permission("log:read"))]


class LogLineView(BaseModel):
    """One line. `fields` are what it has beside its message, without secrets."""

    at: datetime
    host: str = Field(description="of the machine; empty for lines of this server's own files")
    service: str = Field(description="the process: studio, provisioning, or its unit of systemd")
    level: str
    logger: str
    message: str
    trace_id: str | None
    fields: dict[str, Any]


def logs_router(state_dir: Path) -> APIRouter:
    """Returns the route. Lines are of all tenants, so it is the operator's."""
    router = APIRouter(prefix="/api", tags=["telemetry"])

    @router.get("/logs")
    async def read_logs(
        _: ReadLogs,
        trace: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="trace id")] = None,
        limit: Annotated[int, Query(ge=1, le=2000)] = 200,
    ) -> list[LogLineView]:
        """Returns the newest lines of a trace, or of all, the oldest first."""
        folder = state_dir / FOLDER
        found = await asyncio.to_thread(find_lines, folder, trace, limit, journals_here())
        return [LogLineView.model_validate(line, from_attributes=True) for line in found]

    return router
