"""Tells of persona files that change while the server runs: in the log, and as events for pages.

Who asks for a persona always gets the file as it is now; this only makes a change known.
"""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass

from soundstage.background import Worker
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import PersonaEntry
from studio.personas.shared_files import SharedPersonaFiles

STREAM = "personas"
POLL_S = 2.0

log = get_logger(__name__)


@dataclass
class PersonaWatch:
    """`added`, `changed`, `broken`, `mended`, `removed`: one event each in the stream `personas`."""

    library: PersonaLibrary
    db: Database
    events: EventStore
    files: SharedPersonaFiles
    _: KW_ONLY
    poll_s: float = POLL_S

    def __post_init__(self) -> None:
        self._listening: asyncio.Task[None] | None = None
        self._known: dict[str, PersonaEntry] | None = None
        self._worker = Worker("persona watch", self.look, poll_s=self.poll_s)

    async def start(self) -> None:
        """Brings personas of other machines here, and starts the worker, which logs faults that are there
        from the start, too.
        """
        await self.files.refresh()
        await self._worker.start()
        self.files.on_push = self._worker.wake
        if self.db.supports_notify:
            self._listening = asyncio.create_task(self._wake_by_events())

    async def close(self) -> None:
        if self._listening is not None:
            await cancel_all([self._listening])
        await self._worker.close()

    async def _wake_by_events(self) -> None:
        """Looks at once when another machine has changed a persona."""
        with self.events.watch(STREAM) as changed:
            while True:
                await changed.wait()
                changed.clear()
                self._worker.wake()

    async def look(self) -> None:
        """One round; raises what the database raises, and then tells the same again the next time."""
        pulls = self.files.pulls
        entries = await self._entries()
        await self.files.refresh()
        # What came from other machines now: those write its events. What changed here is for the next round.
        latest = entries if self.files.pulls == pulls else await self._entries()
        before = self._known
        if before is None:
            for entry in entries.values():
                if entry.error is not None:
                    log.warning("persona.broken", persona=entry.id, reason=entry.error)
            self._known = latest
            return
        changes = [
            (entry_id, kind)
            for entry_id in {**before, **entries}
            if (kind := _kind(before.get(entry_id), entries.get(entry_id))) is not None
        ]
        if changes:
            async with self.db.transaction() as session:
                for entry_id, kind in changes:
                    found = entries.get(entry_id)
                    data = {"persona": entry_id, "error": found.error if found else None}
                    await self.events.append(session, STREAM, f"persona.{kind}", data)
        for entry_id, kind in changes:
            error = entries[entry_id].error if entry_id in entries else None
            (log.warning if error else log.info)(f"persona.{kind}", persona=entry_id, reason=error)
        self._known = latest

    async def _entries(self) -> dict[str, PersonaEntry]:
        return {entry.id: entry for entry in await asyncio.to_thread(self.library.entries)}


def _kind(before: PersonaEntry | None, now: PersonaEntry | None) -> str | None:
    if now is None:
        return "removed" if before is not None else None
    if before is None:
        return "broken" if now.error else "added"
    if now.error != before.error:
        return "broken" if now.error else "mended"
    return "changed" if now.persona != before.persona else None
