"""Calls a configured machine ready when Nomad does (`provisioning.nomad_ready`); the wiring makes it look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from provisioning_api.engines.nomad import NomadNodes
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.runs.repository import Runs
from provisioning_api.timeline.service import TimelineService
from soundstage.database import Database, utcnow

POLL_S = 2.0
# A client that has not registered after this long will not.
LIMIT = timedelta(minutes=10)
BY = "Nomad"


@dataclass
class Readiness:
    db: Database
    journal: MachineJournal
    nodes: NomadNodes
    timeline: TimelineService

    async def look(self) -> None:
        """Moves machines whose run is over: to ready when Nomad says so, to failed when it never does."""
        async with self.db.session() as session:
            waiting = [
                (machine.id, machine.name)
                for machine in await Machines(session).list([MachineState.CONFIGURING])
                if await Runs(session).open_of(machine.id) is None
            ]
        for machine_id, name in waiting:
            await self._record_outcome(machine_id, await self.nodes.is_ready(name))

    async def _record_outcome(self, machine_id: str, ready: bool) -> None:
        async with self.db.transaction() as session:
            machine = await Machines(session).find(machine_id)
            run = await Runs(session).last_of(machine_id)
            if machine is None or machine.state is not MachineState.CONFIGURING:
                return
            if ready:
                now = utcnow()
                begin = now if run is None else run.ended_at or now
                await self.timeline.note(session, machine.id, "Nomad ready", "nomad", begin, now)
                await self.journal.move(session, machine, MachineState.READY, by=BY)
            elif run is not None and run.ended_at is not None and utcnow() - run.ended_at > LIMIT:
                await self.journal.move(
                    session, machine, MachineState.FAILED,
                    by=BY, cause="It was configured, and its Nomad client never became ready.",
                    hint="Look: `soundstage machines run NAME -- journalctl --no-pager -n 100 -u nomad`.",
                )  # fmt: skip
