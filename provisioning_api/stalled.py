"""Names what has come to a stop without a word: a write that never ends, a window that closed, a first boot
that never came. The wiring makes it look.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.repository import Enrolments
from provisioning_api.enrolment.states import EnrolmentState, state_at
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.reports.service import HINTS
from soundstage.database import Database, utcnow

POLL_S = 30.0
# Of silence: an agent reports when it begins, every few minutes while it goes forward, and when it ends.
LIMIT = timedelta(minutes=30)
BY = "its silence"
WATCHED = (MachineState.ACCEPTED, MachineState.DEPLOYING, MachineState.ENROLLED)


class Stalled:
    def __init__(self, db: Database, journal: MachineJournal) -> None:
        self._db = db
        self._journal = journal

    async def look(self) -> None:
        """One transaction per machine that has to be told of; none while there is nothing to tell."""
        async with self._db.session() as session:
            found = [
                machine.id
                for machine in await Machines(session).list(WATCHED)
                if not machine.hint and await self._has_stopped(session, machine)
            ]
        for machine_id in found:
            async with self._db.transaction() as session:
                machine = await Machines(session).find(machine_id)
                # Read anew: it may have spoken a moment ago.
                if machine is not None and await self._has_stopped(session, machine):
                    await self._tell(session, machine)

    async def _has_stopped(self, session: AsyncSession, machine: Machine) -> bool:
        match machine.state:
            case MachineState.ACCEPTED:
                return not await self._window_is_open(session, machine.id)
            case MachineState.DEPLOYING | MachineState.ENROLLED:
                return utcnow() - machine.seen_at > LIMIT
            case _:
                return False

    async def _window_is_open(self, session: AsyncSession, machine_id: str) -> bool:
        now = utcnow()
        return any(
            state_at(EnrolmentState(one.state), one.expires_at, now) is not EnrolmentState.EXPIRED
            for one in await Enrolments(session).open_of(machine_id)
        )

    async def _tell(self, session: AsyncSession, machine: Machine) -> None:
        minutes = int(LIMIT.total_seconds() // 60)
        match machine.state:
            case MachineState.DEPLOYING:
                # A disk in an unknown state, and an acceptance that is used up: only a new yes helps.
                await self._journal.move(
                    session, machine, MachineState.FAILED,
                    by=BY, cause=f"It began to write its disk, and has said nothing for {minutes} minutes.",
                    hint=HINTS["half_written"].replace("NAME", machine.name),
                )  # fmt: skip
                return
            case MachineState.ACCEPTED:
                for one in await Enrolments(session).open_of(machine.id):
                    one.state = EnrolmentState.EXPIRED
                machine.hint = (
                    f"Nothing is armed any more: `soundstage machines arm {machine.name} --next`, "
                    "then boot it."
                )
            case _:
                machine.hint = (
                    f"It has not called home for {minutes} minutes: look at its console, and whether it "
                    f"reaches us. Or start a run on it: `soundstage runs start {machine.name}`."
                )
        await self._journal.emit(session, machine, "stalled", hint=machine.hint)
