"""Records when the health of the installation changes, as an event for pages and the log."""

from __future__ import annotations

from app.doctor.installation import HealthService
from soundstage.background import Worker
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.health import InstallationHealth

STREAM = "installation"
CHANGED = "health.changed"
EVERY_S = 30.0


class HealthWatch:
    """Checks every EVERY_S seconds; each process with a server does so for its own machine."""

    def __init__(self, health: HealthService, database: Database, events: EventStore) -> None:
        self._health = health
        self._db = database
        self._events = events
        self._last: frozenset[tuple[str, str, str]] | None = None
        self.worker = Worker("health watch", self.poll, poll_s=EVERY_S)

    async def poll(self) -> None:
        """Appends an event when other checks complain than the last time; none at the first."""
        found = await self._health.health()
        before, self._last = self._last, complaints_of(found)
        if before is None or before == self._last:
            return
        async with self._db.transaction() as session:
            data = {"state": found.level, "message": found.sentence}
            await self._events.append(session, STREAM, CHANGED, data)


def complaints_of(health: InstallationHealth) -> frozenset[tuple[str, str, str]]:
    """Returns which checks complain, how much and of what, without the figures in their sentences."""
    return frozenset((check.name, check.level, check.code) for check in health.complaints)
