"""Turns what the process of a run writes into events, each once; called by the driver while the run lives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from provisioning_api.runs.child import END, EVENTS
from provisioning_api.runs.journal import RunJournal
from provisioning_api.runs.repository import Runs
from provisioning_api.runs.schemas import End, Line
from soundstage.database import Database

# What one transaction takes up at most; others wait for it.
CHUNK_BYTES = 256 << 10


class RunReader:
    def __init__(self, db: Database, journal: RunJournal) -> None:
        self._db = db
        self._journal = journal

    async def advance(self, run_id: str, folder: Path) -> bool:
        """Reads on from where the last commit was; whether there was anything."""
        async with self._db.session() as session:
            run = await Runs(session).find(run_id)
            offset = run.read_bytes if run is not None else 0
        lines, read = await asyncio.to_thread(read_lines, folder / EVENTS, offset)
        if not read:
            return False
        async with self._db.transaction() as session:
            run = await Runs(session).find(run_id)
            if run is None or run.read_bytes != offset:
                return False
            for line in lines:
                facts = line.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
                await self._journal.emit(session, run, line.kind, **facts)
            run.read_bytes = offset + read
        return True


def read_lines(path: Path, offset: int, limit: int = CHUNK_BYTES) -> tuple[list[Line], int]:
    """Whole lines from `offset` on, and how many bytes they take; a line that is half written waits."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(limit)
            if b"\n" not in content and len(content) == limit:
                content += file.readline()
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    return [line for text in whole.splitlines() if (line := _line(text)) is not None], len(whole)


def all_lines(folder: Path) -> Sequence[Line]:
    """Everything that a run has written."""
    found: list[Line] = []
    offset = 0
    while True:
        lines, read = read_lines(folder / EVENTS, offset)
        if not read:
            return found
        found += lines
        offset += read


def read_end(folder: Path) -> End | None:
    """Returns how the process ended by itself; None when it did not."""
    try:
        return End.model_validate_json((folder / END).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _line(text: bytes) -> Line | None:
    try:
        return Line.model_validate_json(text)
    except ValidationError:
        # Written by a process that was killed in the middle; the rest of the file is good.
        return None
