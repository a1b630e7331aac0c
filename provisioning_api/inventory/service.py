"""The inventory as an answer, and as a file that is whole at every moment; the file follows the machines'
events.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from provisioning_api.enrolment.ssh_authority import SshAuthority
from provisioning_api.inventory.hosts import listing
from provisioning_api.inventory.shared import farm_of
from provisioning_api.machines.journal import STREAM
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MEMBERS, MachineState
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.events import Event, EventStore
from soundstage.telemetry import get_logger

# Many machines at once are many events; one writing serves them all.
PAUSE_S = 0.5
# After the database was away.
RETRY_S = 5.0


class InventoryService:
    def __init__(self, db: Database, events: EventStore, ssh: SshAuthority, path: Path, user: str) -> None:
        self._db = db
        self._ssh = ssh
        self._events = events
        self._path = path
        self._user = user
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger(__name__)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    async def listing(self, states: Collection[MachineState] = MEMBERS) -> dict[str, Any]:
        """Machines in these states (default: members) in the form of `ansible-inventory --list`."""
        async with self._db.session() as session:
            machines = await Machines(session).list(states)
            farm = await farm_of(session, self._ssh, self._user)
        return listing([machine for machine in machines if machine.address], farm)

    async def write(self) -> None:
        """Writes the file aside and puts it in its place; a reader sees the old or the new one, never
        half.
        """
        text = json.dumps(await self.listing(), indent=1, ensure_ascii=False) + "\n"
        await asyncio.to_thread(_replace, self._path, text)

    async def start(self) -> None:
        """Writes it now, and again after every change."""
        await self.write()
        self._task = asyncio.create_task(self._follow(await self._events.last_id()), name="inventory: write")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            # What changed while the last pause lasted.
            await self._written()

    async def _follow(self, after: int) -> None:
        changed = asyncio.Event()

        async def write_soon() -> None:
            while True:
                await changed.wait()
                changed.clear()
                await self._written()
                await asyncio.sleep(PAUSE_S)

        writer = asyncio.create_task(write_soon())
        try:
            while True:
                try:
                    async for event in self._events.follow(STREAM, after):
                        after = event.id
                        if _concerns_members(event):
                            changed.set()
                except SoundstageError as error:
                    self._log.error("the machines' events cannot be read now", reason=error.message)
                    await asyncio.sleep(RETRY_S)
        finally:
            writer.cancel()

    async def _written(self) -> None:
        try:
            await self.write()
        except (SoundstageError, OSError) as error:
            # A full disk must not end the API; the next change tries again.
            self._log.error("the inventory file was not written", path=str(self._path), reason=str(error))


def _concerns_members(event: Event) -> bool:
    """Returns whether a member came, went or changed; a thousand machines that only wait rewrite nothing."""
    return not MEMBERS.isdisjoint({event.data.get("state"), event.data.get("before")})


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with half.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
