"""Admits machines: reports, rules, an operator's acceptance, and the enrolment that it authorizes."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.audit.refusals import RefusalLog
from provisioning_api.enrolment.proofs import ProofMethod, Proofs, SignedDiscovery
from provisioning_api.enrolment.schemas import ArmRequest
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.machines.discovery import Discoverer, DiscoveryResult, check_board, find_machine
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.keys import check_code, code_of, key_with_code, set_key
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import Acceptance, MachineDetail, Naming
from provisioning_api.machines.service import MachineService, get_machine
from provisioning_api.machines.states import MachineState
from provisioning_api.machines.waiting_list import WaitingList
from provisioning_api.rules.schemas import Reporter
from provisioning_api.rules.service import RuleService
from soundstage.database import Database
from soundstage.errors import SoundstageError, TooManyRequests


@dataclass
class Intake:
    """Coordinates discovery, admission rules and enrolment of new machines; called by the routes of ramdisks
    and of operators.
    """

    db: Database
    journal: MachineJournal
    machines: MachineService
    rules: RuleService
    enrolments: EnrolmentService
    proofs: Proofs
    waiting_list: WaitingList
    refusals: RefusalLog
    _: KW_ONLY
    max_reports: int

    def __post_init__(self) -> None:
        self._discoverer = Discoverer(self.journal)

    async def discover(
        self, session: AsyncSession, call: SignedDiscovery, *, source: str | None
    ) -> DiscoveryResult:
        """Records a ramdisk's report, which grants nothing by itself, then applies the matching rules."""
        known = await find_machine(session, call.report)
        if known is not None and known.agent_key != call.agent_key:
            await self._prove_key(session, known, call)
        result = await self._discoverer.record(session, call.report, call.agent_key, source)
        announced = (
            not result.conflict
            and result.machine.state is MachineState.DISCOVERED
            and await self.proofs.method(session, result.machine, call) is ProofMethod.ANNOUNCEMENT
        )
        if result.new and not announced:
            # Announced machines are admitted also while unknown ones fill the list.
            await self.waiting_list.admit(session, result.machine, source)
        await Machines(session).prune_reports(result.machine.id, self.max_reports)
        if not result.conflict:
            await self.apply_rules(session, result, source, Reporter(announced=announced))
        return result

    async def record_refusal(self, error: TooManyRequests, source: str | None) -> None:
        """Records that a report was refused; call it after its transaction has ended."""
        await self.refusals.note(source or "unknown", "machine.refused", error.code, "unknown")

    async def _prove_key(self, session: AsyncSession, machine: Machine, call: SignedDiscovery) -> None:
        """Binds a new key without an operator when the machine proves it: by its announced secret, or by the
        certificate of a member.
        """
        if machine.state is not MachineState.DISCOVERED:
            check_board(machine, call.report)
        by = await self.proofs.method(session, machine, call)
        if by is None:
            return
        before = machine.agent_key
        dropped_keys = await set_key(session, machine, call.agent_key)
        await self.enrolments.rebind(session, machine, by=by)
        facts = {"code": code_of(call.agent_key), "before": code_of(before), "refused": dropped_keys}
        await self.journal.audit(session, machine, by, "key_proved", **facts)
        await self.journal.emit(session, machine, "key_proved", by=by, **facts)

    async def apply_rules(
        self, session: AsyncSession, result: DiscoveryResult, source: str | None, reporter: Reporter
    ) -> None:
        """Applies the rules to a machine that is not decided yet; the audit log names each rule."""
        machine = result.machine
        if machine.state is not MachineState.DISCOVERED:
            return
        for rule in await self.rules.fitting(session, machine, source, reporter):
            machine.pool = rule.then.pool or machine.pool
            machine.tags = sorted({*machine.tags, *rule.then.tags})
            if not rule.then.accept or machine.state is not MachineState.DISCOVERED:
                continue
            by = f"rule {rule.name}"
            try:
                await self.machines.accept_in(session, machine, Naming(), by=by)
                await self.enrolments.authorize_in(session, machine, ArmRequest(), by=by)
            except SoundstageError as error:
                # The error is stored with the machine, which waits for an operator.
                machine.cause, machine.hint = error.message, error.hint

    async def accept(self, name: str, acceptance: Acceptance, *, by: str) -> MachineDetail:
        """Accepts a machine for an operator, who compared the code of its key. A machine that waits in its
        ramdisk may claim its token from now on.
        """
        async with self.db.transaction() as session:
            machine = await get_machine(session, name)
            await check_code(session, machine, acceptance.code)
            first = machine.state is MachineState.DISCOVERED
            await self.machines.accept_in(session, machine, acceptance, by=by)
            # A machine that was in service boots with a new key: bind to the next ramdisk that claims.
            bind = ArmRequest(bind="reported" if first else "next")
            await self.enrolments.authorize_in(session, machine, bind, by=by)
            machine_id = machine.id
        return await self.machines.get(machine_id)

    async def choose_key(self, name: str, code: str, *, by: str) -> MachineDetail:
        """Makes a key, chosen by an operator, that of the machine; an open enrolment moves to it."""
        async with self.db.transaction() as session:
            machine = await get_machine(session, name)
            before, key = machine.agent_key, await key_with_code(session, machine, code)
            dropped_keys = await set_key(session, machine, key)
            if key != before:
                await self.enrolments.rebind(session, machine, by=by)
            facts = {"code": code, "before": code_of(before), "refused": dropped_keys}
            await self.journal.audit(session, machine, by, "key_chosen", **facts)
            await self.journal.emit(session, machine, "key_chosen", by=by, **facts)
            machine_id = machine.id
        return await self.machines.get(machine_id)
