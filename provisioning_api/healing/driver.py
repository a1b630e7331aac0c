"""Opens a case for each machine whose node fails, and takes every open case one step further.

A step reads its case, does at most one thing outside of the database, and stores what came of it. Each may be
repeated: a process that is killed between the two does the same again when it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.engines.node_facts import NodeFacts, NodeObserver
from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.limits import (
    NextStep,
    after_failure,
    is_last_of_kind,
    needs_operator,
    reason_to_wait,
)
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.reinstallation import Reinstallation
from provisioning_api.healing.repository import HealingCases
from provisioning_api.healing.spares import Spares
from provisioning_api.healing.states import Cause, Consent, HealingState
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.power.schemas import PowerAction
from provisioning_api.power.service import PowerService
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid, SoundstageError
from soundstage.health import BY_CHECKS, BY_HEALING
from soundstage.settings.healing import HealingSettings
from soundstage.telemetry import get_logger
from soundstage.tracing import new_trace_id, trace

log = get_logger(__name__)

POLL_S = 5.0
BMC_RETRY_S = 60.0
MAX_BMC_ERRORS = 3
BY = "self-healing"
# While a run configures it, or after one has failed, its node may be in any state.
_LEFT_ALONE = frozenset({MachineState.CONFIGURING, MachineState.ENROLLED, MachineState.FAILED})
# Reinstalled by healing, or by the operator that it needs.
_WRITTEN = frozenset({HealingState.REINSTALLING, HealingState.NEEDS_OPERATOR})


@dataclass(frozen=True, slots=True)
class Finding:
    cause: Cause
    sentence: str


def find_failure(node: NodeFacts | None) -> Finding | None:
    """Returns None for a node that is well, that an operator has set aside, or that Nomad does not know."""
    if node is None or node.set_aside or (node.reserved and node.is_up):
        return None
    if not node.is_up:
        return Finding(Cause.SILENT, f"Nomad hears nothing of it: its node is {node.status}.")
    if node.bad_cards:
        return Finding(Cause.CARD, f"A card fails: {'; '.join(node.bad_cards)}.")
    if node.marks is not None and BY_CHECKS in node.marks:
        return Finding(Cause.CHECKS, f"Its own checks do not pass: {node.marks[BY_CHECKS]}")
    return None


@dataclass(frozen=True, slots=True)
class _Case:
    """A case at the begin of a step, with its machine and node."""

    row: HealingCase
    machine: Machine
    node: NodeFacts | None

    @property
    def state(self) -> HealingState:
        return HealingState(self.row.state)

    @property
    def is_well(self) -> bool:
        return self.node is not None and self.node.is_well

    def lasts(self, seconds: float) -> bool:
        """Returns whether its state has lasted so long."""
        return utcnow() - self.row.since >= timedelta(seconds=seconds)


@dataclass
class HealingDriver:
    db: Database
    journal: HealingJournal
    nodes: NodeObserver
    power: PowerService
    reinstallation: Reinstallation
    spares: Spares
    settings: HealingSettings
    poll_s: float
    _nodes: Mapping[str, NodeFacts] = field(default_factory=dict, init=False)

    async def bring_forward(self, by: timedelta) -> None:
        async with self.db.transaction() as session:
            await HealingCases(session).bring_forward(by)

    async def due(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        """Reads the nodes, opens cases, and returns the cases whose next step is due."""
        if limit == 0:
            return []
        self._nodes = await self.nodes.nodes()
        await self._open_cases()
        if self.settings.level not in ("off", "report"):
            await self.spares.balance(self._nodes)
        async with self.db.session() as session:
            return await HealingCases(session).due(utcnow(), in_flight, limit)

    async def _open_cases(self) -> None:
        async with self.db.session() as session:
            failing = [
                machine.id
                for machine in await Machines(session).list([MachineState.READY])
                if find_failure(self._nodes.get(machine.name)) is not None
                and await HealingCases(session).open_of(machine.id) is None
            ]
        for machine_id in failing:
            async with self.db.transaction() as session:
                machine = await Machines(session).find(machine_id)
                finding = None if machine is None else find_failure(self._nodes.get(machine.name))
                if machine is None or finding is None:
                    continue
                case = HealingCase(
                    machine_id=machine.id, state=HealingState.WAITING,
                    cause=finding.cause, finding=finding.sentence, trace_id=new_trace_id(),
                )  # fmt: skip
                await HealingCases(session).add(case)
                await self.journal.emit(session, machine, case, before="", by=BY)

    async def step(self, case_id: str) -> None:
        """Takes one case one step further."""
        async with self.db.session() as session:
            row = await HealingCases(session).find(case_id)
            machine = None if row is None else await Machines(session).find(row.machine_id)
        if row is None or machine is None:
            return
        case = _Case(row, machine, self._nodes.get(machine.name))
        with trace(row.trace_id, inherit=False):
            if (next_step := self._taken_over(case) or await self._next_step(case)) is None:
                await self._look_again(case)
            else:
                await self._move(case, next_step)

    def _taken_over(self, case: _Case) -> NextStep | None:
        if case.node is not None and case.node.set_aside:
            return NextStep(HealingState.CLOSED, "An operator has drained its node or set it aside.")
        expected = {MachineState.READY, *_LEFT_ALONE}
        if case.state in _WRITTEN:
            expected |= {MachineState.ACCEPTED, MachineState.DEPLOYING}
        if case.machine.state in expected:
            return None
        return NextStep(HealingState.CLOSED, f"The machine is {case.machine.state} now.")

    async def _next_step(self, case: _Case) -> NextStep | None:
        """Does what the state of the case asks for; None when it has to be looked at again later."""
        if case.state is not HealingState.REINSTALLING and case.machine.state is not MachineState.READY:
            return None
        match case.state:
            case HealingState.WAITING:
                return await self._after_wait(case)
            case HealingState.DRAINING:
                return await self._drain(case)
            case HealingState.RESTARTING:
                return await self._restart(case)
            case HealingState.CHECKING:
                return await self._check(case)
            case HealingState.REINSTALLING:
                return await self._reinstall(case)
            case _:
                await self._hand_over(case)
                return self._recovered(case)

    def _recovered(self, case: _Case) -> NextStep | None:
        return NextStep(HealingState.RECOVERED, "Its node takes work.") if case.is_well else None

    async def _after_wait(self, case: _Case) -> NextStep | None:
        if find_failure(case.node) is None:
            return NextStep(HealingState.RECOVERED, "It passed by itself.")
        if utcnow() - case.row.created_at < timedelta(seconds=self.settings.wait_s):
            return None
        if self.settings.level in ("off", "report"):
            return needs_operator("`provisioning.healing.level` allows no more than this report.")
        async with self.db.session() as session:
            if reason := await reason_to_wait(session, self.settings):
                return NextStep(HealingState.WAITING, reason)
        if case.node is not None and is_last_of_kind(case.node, self._nodes.values()):
            return needs_operator(
                "It is the last node of its kind that takes work, and is drained only with consent.",
                Consent.LAST_OF_KIND,
            )
        return NextStep(HealingState.DRAINING)

    async def _drain(self, case: _Case) -> NextStep | None:
        if case.is_well:
            return self._recovered(case)
        if case.node is not None:
            # The node's own checks may not see what Nomad sees of a card: healing holds it until the restart.
            hold = case.row.cause == Cause.CARD and self.settings.level == "power"
            if hold or case.node.marks is None or BY_CHECKS not in case.node.marks:
                ordered = await self._order_drain(case, case.node, hold=hold)
                if ordered and case.node.is_up:
                    return None
            if case.node.is_up and case.node.draining and not case.lasts(self.settings.drain_s):
                return None
        return await self._after_failure(case)

    async def _restart(self, case: _Case) -> NextStep | None:
        if case.is_well:
            return self._recovered(case)
        try:
            await self.power.switch(case.machine.id, PowerAction.CYCLE, by=BY)
        except SoundstageError as error:
            return await self._bmc_failed(case, error)
        return NextStep(HealingState.CHECKING)

    async def _check(self, case: _Case) -> NextStep | None:
        if case.is_well:
            return self._recovered(case)
        if not await self._hand_over(case) and case.lasts(self.settings.check_s):
            return await self._after_failure(case)
        return None

    async def _reinstall(self, case: _Case) -> NextStep | None:
        if case.machine.state is MachineState.READY and case.is_well:
            return self._recovered(case)
        if case.machine.state is MachineState.FAILED:
            return needs_operator(f"Its reinstallation failed: {case.machine.cause}")
        if case.lasts(self.settings.reinstall_s):
            return needs_operator("Its reinstallation did not end in time.")
        # A database from a backup allows no write, and so no start from the network.
        if not case.row.acted and case.machine.guard_facts.may_be_written:
            try:
                await self.power.switch(case.machine.id, PowerAction.BOOT_NETWORK, PowerAction.CYCLE, by=BY)
            except SoundstageError as error:
                return await self._bmc_failed(case, error)
            await self._update(case, acted=True)
        return None

    async def _bmc_failed(self, case: _Case, error: SoundstageError) -> NextStep | None:
        if isinstance(error, Conflict | Invalid) or case.row.errors + 1 >= MAX_BMC_ERRORS:
            return needs_operator(f"Its power cannot be switched: {error.message} {error.hint}")
        log.warning("healing.bmc_failed", machine=case.machine.name, code=error.code, error=str(error))
        await self._update(case, errors=case.row.errors + 1, pause_s=BMC_RETRY_S)
        return None

    async def _after_failure(self, case: _Case) -> NextStep:
        async with self.db.session() as session:
            return await after_failure(session, case.row, self.settings, utcnow())

    async def _hand_over(self, case: _Case) -> bool:
        """Lets the node's own checks return it: they lift the drain when all of them pass. Returns False when
        there is nothing to hand over.
        """
        node = case.node
        if node is None or not node.held or node.reserved or not node.is_up or node.bad_cards:
            return False
        return await self._order_drain(case, node, hold=False)

    async def _order_drain(self, case: _Case, node: NodeFacts, *, hold: bool) -> bool:
        marks = (
            {BY_HEALING: case.row.id}
            if hold
            else {BY_HEALING: case.row.id, BY_CHECKS: case.row.finding[:400]}
        )
        return await self.nodes.drain(node, marks, timedelta(seconds=self.settings.drain_s))

    async def _move(self, case: _Case, step: NextStep) -> None:
        if step.state is HealingState.WAITING:
            await self._update(case, reason=step.reason)
            return
        if step.state is HealingState.REINSTALLING:
            try:
                await self.reinstallation.begin(case.row.id, case.state, by=BY)
                return
            except SoundstageError as error:
                step = needs_operator(f"It cannot be reinstalled: {error.message} {error.hint}")
        async with self.db.transaction() as session:
            if found := await self._unchanged(session, case):
                await self.journal.move(session, case.machine, found, step, by=BY)

    async def _look_again(self, case: _Case) -> None:
        if case.row.next_at <= utcnow():
            await self._update(case)

    async def _update(
        self,
        case: _Case,
        *,
        reason: str | None = None,
        errors: int | None = None,
        acted: bool = False,
        pause_s: float | None = None,
    ) -> None:
        async with self.db.transaction() as session:
            if row := await self._unchanged(session, case):
                row.reason = row.reason if reason is None else reason
                row.errors = row.errors if errors is None else errors
                row.acted = row.acted or acted
                row.next_at = utcnow() + timedelta(seconds=self.poll_s if pause_s is None else pause_s)
                case.row.next_at = row.next_at

    async def _unchanged(self, session: AsyncSession, case: _Case) -> HealingCase | None:
        """Returns the row to change; None when an operator has moved the case since it was read."""
        row = await HealingCases(session).find(case.row.id)
        return row if row is not None and row.state == case.row.state else None
