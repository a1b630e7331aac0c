"""Where machines come in: a report, the rules, an operator's yes, and the window that a yes opens."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.schemas import ArmRequest
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.machines.discovery import Discoverer, Seen
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import Acceptance, Discovery, MachineDetail
from provisioning_api.machines.service import MachineService, found_machine
from provisioning_api.machines.states import MachineState
from provisioning_api.rules.service import RuleService
from soundstage.database import Database
from soundstage.errors import SoundstageError


class Intake:
    """Joins the nouns that a machine meets first; called by the agent's routes and by operators'."""

    def __init__(
        self,
        db: Database,
        journal: MachineJournal,
        machines: MachineService,
        rules: RuleService,
        enrolments: EnrolmentService,
    ) -> None:
        self._db = db
        self._journal = journal
        self._machines = machines
        self._rules = rules
        self._enrolments = enrolments
        self._discoverer = Discoverer(journal)

    async def discover(self, report: Discovery, *, source: str | None) -> Machine:
        """Takes the report of a ramdisk, which gives it no right; then the rules that fit may."""
        async with self._db.transaction() as session:
            seen = await self._discoverer.see(session, report)
            await self.apply_rules(session, seen, source)
            return seen.machine

    async def apply_rules(self, session: AsyncSession, seen: Seen, source: str | None) -> None:
        """Acts on machines that nobody has decided about; each rule under its own name."""
        machine = seen.machine
        if machine.where is not MachineState.DISCOVERED:
            return
        for rule in await self._rules.fitting(session, machine, source):
            machine.pool = rule.then.pool or machine.pool
            machine.tags = sorted({*machine.tags, *rule.then.tags})
            if not rule.then.accept or machine.where is not MachineState.DISCOVERED:
                continue
            by = f"rule {rule.name}"
            try:
                await self._machines.accept_in(session, machine, Acceptance(), by=by)
                await self._enrolments.arm_in(session, machine, ArmRequest(), by=by)
            except SoundstageError as error:
                # What a person would be told stands on the machine: it waits for one.
                machine.cause, machine.hint = error.message, error.hint

    async def accept(self, name: str, acceptance: Acceptance, *, by: str) -> MachineDetail:
        """A person's yes. A machine that waits in its ramdisk may claim its token from now on."""
        async with self._db.transaction() as session:
            machine = await found_machine(session, name)
            first = machine.where is MachineState.DISCOVERED
            await self._machines.accept_in(session, machine, acceptance, by=by)
            # One that was in service is started anew, and its ramdisk has another key than the last one.
            bind = ArmRequest(bind="reported" if first else "next")
            await self._enrolments.arm_in(session, machine, bind, by=by)
            machine_id = machine.id
        return await self._machines.get(machine_id)
