"""Answers with the inventory, and keeps an inventory file up to date with the machines' events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.inventory.hosts import farm_of, listing
from provisioning_api.machines.journal import STREAM
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MEMBERS, MachineState
from soundstage.background import Worker
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.events import Event, EventStore
from soundstage.private_files import replace_file
from soundstage.telemetry import get_logger

# Many machines at once are many events; one writing serves them all.
PAUSE_S = 0.5


class InventoryService:
    def __init__(self, db: Database, events: EventStore, ssh: SshAuthority, path: Path, user: str) -> None:
        self._db = db
        self._ssh = ssh
        self._events = events
        self._path = path
        self._user = user
        self._log = get_logger(__name__)
        self._last_event = 0
        self._changed = False
        self._writer = Worker("inventory file", self._write_changes)
        self._follower = Worker("inventory events", self._follow)

    async def listing(self, states: Collection[MachineState] = MEMBERS) -> dict[str, Any]:
        """Returns machines in these states (default: members) in the form of `ansible-inventory --list`."""
        async with self._db.session() as session:
            machines = await Machines(session).list(states)
            farm = await farm_of(session, self._ssh, self._user)
        return listing([machine for machine in machines if machine.address], farm)

    async def write(self) -> None:
        """Replaces the file atomically: a reader sees the old or the new one."""
        text = json.dumps(await self.listing(), indent=1, ensure_ascii=False) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(replace_file, self._path, text.encode(), 0o644)

    async def start(self) -> None:
        """Writes it now, and again after every change."""
        await self.write()
        self._last_event = await self._events.last_id()
        await self._writer.start()
        await self._follower.start()

    async def close(self) -> None:
        await self._follower.close()
        await self._writer.close()
        # What changed while the last pause lasted.
        if self._changed:
            try:
                await self.write()
            except (SoundstageError, OSError) as error:
                self._log.error("inventory.not_written", path=str(self._path), error=str(error))

    async def _follow(self) -> None:
        async for event in self._events.follow(STREAM, self._last_event):
            self._last_event = event.id
            if _concerns_members(event):
                self._changed = True
                self._writer.wake()

    async def _write_changes(self) -> None:
        if not self._changed:
            return
        self._changed = False
        try:
            await self.write()
        except BaseException:
            # The next look tries again.
            self._changed = True
            raise
        await asyncio.sleep(PAUSE_S)


def _concerns_members(event: Event) -> bool:
    """Returns whether a member came, went or changed; a thousand machines that only wait rewrite nothing."""
    return not MEMBERS.isdisjoint({event.data.get("state"), event.data.get("before")})
