"""Runs the doctor inside a server, for the REST API: one examination at a time, within a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field

from app.doctor.examine import examine_here
from app.migrating import current_revision
from soundstage.database import Database, utcnow
from soundstage.health import Check, Level, red
from soundstage.settings import Settings
from soundstage.tasks import cancel_all
from soundstage.telemetry.masking import mask_text
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import PersonaEntry

LIMIT_S = 90.0


class DoctorReport(BaseModel):
    """Lists what the doctor found, in the order in which a new installation meets it."""

    ok: bool = Field(description="nothing is red: films can be made")
    at: datetime
    duration_ms: int
    checks: list[Check]


@dataclass(frozen=True, slots=True)
class ThisServer:
    """The store that this process has open."""

    database: Database
    library: PersonaLibrary

    async def revision(self) -> str | None:
        return await current_revision(self.database)

    async def personas(self) -> Sequence[PersonaEntry]:
        return await asyncio.to_thread(self.library.entries)


class DoctorService:
    """Examines this installation. Who asks while an examination runs gets its report."""

    def __init__(self, examine: Callable[[], AsyncIterator[Check]], limit_s: float = LIMIT_S) -> None:
        self._examine = examine
        self._limit_s = limit_s
        self._running: asyncio.Task[DoctorReport] | None = None

    @classmethod
    def of(cls, settings: Settings, database: Database, library: PersonaLibrary) -> DoctorService:
        """Returns the doctor of a server with these settings."""
        studio = ThisServer(database, library)
        return cls(lambda: examine_here(settings, studio))

    async def report(self) -> DoctorReport:
        """Examines, or waits for the examination that runs."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._make_report())
        # Whoever hangs up leaves it to the others.
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Ends an examination that runs."""
        if self._running is not None:
            await cancel_all([self._running])

    async def _make_report(self) -> DoctorReport:
        began, at = time.monotonic(), utcnow()
        checks: list[Check] = []
        try:
            async with asyncio.timeout(self._limit_s):
                async for check in self._examine():
                    checks.append(_without_secrets(check))
        except TimeoutError:
            found = f"the examination did not end within {self._limit_s:.0f} s; the last lines are missing"
            fix = "`soundstage doctor` on the machine of the server has no such limit."
            checks.append(red("doctor", found, fix, "doctor.timeout"))
        return DoctorReport(
            ok=all(check.level is not Level.RED for check in checks),
            at=at,
            duration_ms=round((time.monotonic() - began) * 1000),
            checks=checks,
        )


def _without_secrets(check: Check) -> Check:
    return check.model_copy(update={"found": mask_text(check.found), "fix": mask_text(check.fix)})
