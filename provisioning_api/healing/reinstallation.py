"""Reinstalls a machine for its healing case: the plan that an operator reads, and its begin."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from provisioning_api.enrolment.schemas import ArmRequest
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.limits import NextStep
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.repository import HealingCases
from provisioning_api.healing.schemas import HealingPlan
from provisioning_api.healing.states import Consent, HealingState
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import Naming
from provisioning_api.machines.service import MachineService
from soundstage.database import Database
from soundstage.errors import Conflict


def plan_of(case: HealingCase, machine: Machine) -> HealingPlan | None:
    """Returns what a consent would do; None where none is requested. `digest` names exactly this plan."""
    match case.consent:
        case Consent.REINSTALL:
            hardware = Hardware.model_validate(machine.hardware or {})
            disks = [f"{one.name} ({one.bytes / 1e9:.0f} GB)" for one in hardware.disks] or ["all its disks"]
            steps = [
                "Start it from the network by its BMC.",
                *(f"Write it anew; what is on it is lost: {disk}." for disk in disks),
                "Enrol and configure it, and return it when its golden frame passes.",
            ]
        case Consent.LAST_OF_KIND:
            steps = [
                "Drain its Nomad node, although no other node of its kind takes work.",
                "Power-cycle it by its BMC, where `provisioning.healing.level` allows that.",
            ]
        case _:
            return None
    content = [case.id, case.consent, machine.hardware_sha256, steps]
    return HealingPlan(steps=steps, digest=hashlib.sha256(json.dumps(content).encode()).hexdigest())


@dataclass
class Reinstallation:
    db: Database
    journal: HealingJournal
    machines: MachineService
    enrolments: EnrolmentService

    async def begin(self, case_id: str, expected: HealingState, *, by: str) -> None:
        """Accepts the machine for one more write and moves its case, both or neither. The worker starts the
        machine from the network afterwards.
        """
        async with self.db.transaction() as session:
            case = await HealingCases(session).find(case_id)
            machine = None if case is None else await Machines(session).find(case.machine_id)
            if case is None or machine is None or case.state != expected:
                raise Conflict(
                    "healing.changed",
                    "The case has changed since you read it.",
                    "Read it again, then decide.",
                )
            await self.machines.accept_in(session, machine, Naming(), by=by)
            # It boots with a new key: bound to the next ramdisk that claims.
            await self.enrolments.authorize_in(session, machine, ArmRequest(bind="next"), by=by)
            await self.journal.move(session, machine, case, NextStep(HealingState.REINSTALLING), by=by)
