"""The settings of the server and what its doctor finds, for its administrators; the page shows both."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.doctor.service import DoctorReport, DoctorService
from policy import Principal, require_permission
from soundstage.settings import Settings
from soundstage.settings.listing import SectionView, list_settings

ReadSettings = Annotated[Principal, Depends(require_permission("setting:read"))]
ReadSystem = Annotated[Principal, Depends(require_permission("system:read"))]


class SettingsView(BaseModel):
    """Settings are changed in the file or the environment of the server, which reads both when it starts."""

    file: str | None = Field(description="the settings file, which need not exist; null: none is read")
    file_exists: bool
    sections: list[SectionView]


def settings_router(settings: Settings, doctor: DoctorService) -> APIRouter:
    """`/api/settings` and `/api/doctor`."""
    router = APIRouter(prefix="/api", tags=["installation"])

    # Not `async`: it looks at a file.
    @router.get("/settings")
    def read_settings(_: ReadSettings) -> SettingsView:
        """Return all settings in force, with default, source and meaning; of secrets only whether they are
        set. For administrators of the installation.
        """
        file = settings.origins.file
        return SettingsView(
            file=None if file is None else str(file),
            file_exists=file is not None and file.is_file(),
            sections=list_settings(settings),
        )

    @router.get("/doctor")
    async def run_doctor(_: ReadSystem) -> DoctorReport:
        """Look at everything a film needs on the machine of the server, as `soundstage doctor` does; takes
        seconds. One at a time: who asks while it runs gets the same report.
        """
        return await doctor.report()

    return router
