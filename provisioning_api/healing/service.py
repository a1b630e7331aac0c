"""The verbs of operators on healing: list, pause, resume; the driver does the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.limits import NextStep
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.reinstallation import Reinstallation, plan_of
from provisioning_api.healing.repository import REINSTALL, RESTART, HealingActions, HealingCases
from provisioning_api.healing.schemas import HealingView, ResumeRequest
from provisioning_api.healing.states import Consent, HealingState
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.service import get_machine
from soundstage.database import Database
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.views import read_view

_RESUMABLE = frozenset({HealingState.PAUSED, HealingState.NEEDS_OPERATOR})


@dataclass
class HealingService:
    db: Database
    journal: HealingJournal
    machines: MachineJournal
    reinstallation: Reinstallation
    wake: Callable[[], None]

    async def list_open(self) -> Sequence[HealingView]:
        """Newest first."""
        async with self.db.session() as session:
            return await _views(session, await HealingCases(session).list())

    async def history(self, name: str, limit: int) -> Sequence[HealingView]:
        """Returns the cases of one machine, newest first."""
        async with self.db.session() as session:
            machine = await get_machine(session, name)
            return await _views(session, await HealingCases(session).of_machine(machine.id, limit))

    async def pause(self, name: str, *, by: str) -> HealingView:
        """Stops healing of a machine until it is resumed."""
        async with self.db.transaction() as session:
            machine, case = await _open_case(session, name)
            step = NextStep(HealingState.PAUSED, f"Paused by {by}.")
            await self.journal.move(session, machine, case, step, by=by)
            await self.machines.audit(session, machine, by, "healing_paused", case=case.id)
            [view] = await _views(session, [case])
        return view

    async def resume(self, name: str, request: ResumeRequest, *, by: str) -> HealingView:
        """Goes on; with the consent that the case asks for, where it asks for one."""
        async with self.db.transaction() as session:
            machine, case = await _open_case(session, name)
            state, consent = HealingState(case.state), Consent(case.consent)
            if state not in _RESUMABLE:
                raise Conflict(
                    "healing.not_stopped",
                    f"Healing of {machine.name} goes on already: it is {state}.",
                    "`soundstage machines heal show NAME` tells what it waits for.",
                )
            _check_consent(machine, case, request)
            facts = {"case": case.id, "consent": consent}
            await self.machines.audit(session, machine, by, "healing_resumed", **facts)
            if consent is not Consent.REINSTALL:
                allowed = consent is Consent.LAST_OF_KIND
                target = HealingState.DRAINING if allowed else HealingState.WAITING
                await self.journal.move(session, machine, case, NextStep(target, f"Resumed by {by}."), by=by)
        if consent is Consent.REINSTALL:
            await self.reinstallation.begin(case.id, state, by=by)
        self.wake()
        return (await self.history(machine.id, 1))[0]


def _check_consent(machine: Machine, case: HealingCase, request: ResumeRequest) -> None:
    plan = plan_of(case, machine)
    if plan is None:
        return
    if request.confirm != machine.name:
        raise Invalid(
            "healing.not_confirmed",
            f"This needs consent, and the name that was typed is not {machine.name}.",
            "Read the plan (`soundstage machines heal show NAME`), then resume with `--confirm NAME`.",
        )
    if request.plan not in (None, plan.digest):
        raise Conflict(
            "healing.changed", "The case has changed since you read it.", "Read it again, then decide."
        )


async def _open_case(session: AsyncSession, name: str) -> tuple[Machine, HealingCase]:
    machine = await get_machine(session, name)
    case = await HealingCases(session).open_of(machine.id)
    if case is None:
        raise NotFound(
            "healing.not_found",
            f"{machine.name} has no open healing case.",
            "`soundstage machines heal list` shows which machines have one.",
        )
    return machine, case


async def _views(session: AsyncSession, cases: Sequence[HealingCase]) -> list[HealingView]:
    actions = await HealingActions(session).of_cases([case.id for case in cases])
    machines = Machines(session)
    found = []
    for case in cases:
        machine = await machines.find(case.machine_id)
        if machine is None:
            continue
        spare = None if case.spare_id is None else await machines.find(case.spare_id)
        kinds = [action.kind for action in actions if action.case_id == case.id]
        found.append(
            read_view(
                HealingView,
                case,
                machine=machine.name,
                plan=plan_of(case, machine),
                spare=None if spare is None else spare.name,
                restarts=kinds.count(RESTART),
                reinstalls=kinds.count(REINSTALL),
                next=_next(case, machine.name),
            )
        )
    return found


def _next(case: HealingCase, name: str) -> str:
    match HealingState(case.state):
        case HealingState.NEEDS_OPERATOR if case.consent:
            return f"Read the plan, then `soundstage machines heal resume {name} --confirm {name}`."
        case HealingState.NEEDS_OPERATOR | HealingState.PAUSED:
            return f"Repair it, or go on: `soundstage machines heal resume {name}`."
        case HealingState.RECOVERED | HealingState.CLOSED:
            return "Nothing: it has ended."
        case _:
            return f"It goes on by itself; stop it: `soundstage machines heal pause {name}`."
