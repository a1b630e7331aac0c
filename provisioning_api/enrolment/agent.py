"""What ramdisks and machines that enrol may ask; each call proves who speaks by a signature or a token."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.challenges import Challenges, check_signature, signed_text
from provisioning_api.enrolment.schemas import Claimed, Membership, SignedCall
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.intake import Intake
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import Discovered, Discovery
from provisioning_api.machines.service import found_machine
from provisioning_api.machines.states import MachineState
from provisioning_api.machines.views import code_of
from soundstage.database import Database
from soundstage.errors import NotFound, Unauthorized


class AgentDesk:
    """Discovery and claims. Writes and reports are `boot`'s and `timeline`'s; they authenticate here."""

    def __init__(
        self,
        db: Database,
        intake: Intake,
        enrolments: EnrolmentService,
        journal: MachineJournal,
        challenges: Challenges,
    ) -> None:
        self._db = db
        self._intake = intake
        self._enrolments = enrolments
        self._journal = journal
        self._challenges = challenges

    async def discover(self, report: Discovery, *, source: str | None) -> Discovered:
        machine = await self._intake.discover(report, source=source)
        return Discovered(
            machine_id=machine.id,
            name=machine.name,
            state=machine.where,
            code=code_of(machine.agent_key),
            challenge=self._challenges.make(machine.id),
        )

    async def claim(self, call: SignedCall) -> Claimed:
        """What to do next, and the token when there is one to be had."""
        async with self._db.transaction() as session:
            machine = await self.authenticated(session, "claim", call)
            claimed = await self._enrolments.claim(session, machine) if machine.where in _MAY_CLAIM else None
        token, enrolment = claimed or (None, None)
        return Claimed(
            state=machine.where,
            next=_next(machine, armed=claimed is not None),
            token=token,
            expires_at=None if enrolment is None else enrolment.expires_at,
            challenge=self._challenges.make(machine.id),
        )

    async def collect(self, call: SignedCall) -> Membership:
        """The answer to an exchange whose answer was lost."""
        async with self._db.transaction() as session:
            machine = await self.authenticated(session, "collect", call)
            membership = await self._enrolments.collect(session, machine)
        return await self._enrolments.complete(membership)

    def challenge(self, machine_id: str) -> str:
        """For the next call of this machine."""
        return self._challenges.make(machine_id)

    async def begin_write(self, session: AsyncSession, machine: Machine) -> None:
        """Keeps its window open for the write; raises unless it is bound to the ramdisk that speaks."""
        await self._enrolments.begin_write(session, machine)

    async def authenticated(self, session: AsyncSession, verb: str, call: SignedCall) -> Machine:
        """The machine whose ramdisk signed this call; Unauthorized for everybody else."""
        self._challenges.check(call.machine_id, call.challenge)
        try:
            machine = await found_machine(session, call.machine_id)
        except NotFound as error:
            raise Unauthorized(
                "agent.unknown", "This machine is not known.", "Report first: `POST /api/agent/discover`."
            ) from error
        text = signed_text(verb, call.machine_id, call.challenge, call.payload)
        check_signature(machine.agent_key, text, call.signature)
        return machine


_MAY_CLAIM = frozenset({MachineState.ACCEPTED, MachineState.DEPLOYING})


def _next(machine: Machine, *, armed: bool) -> Any:
    match machine.where:
        case MachineState.DRAINING if machine.wiping is not None:
            return "wipe"
        case MachineState.ACCEPTED | MachineState.DEPLOYING if armed:
            return "write" if machine.standing.may_be_written else "enrol"
        case MachineState.DISCOVERED | MachineState.ACCEPTED | MachineState.DEPLOYING:
            return "wait"
        case _:
            return "boot"
