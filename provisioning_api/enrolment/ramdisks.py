"""Serves ramdisks and enrolling machines; a signature or a token authenticates each call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.challenges import Challenges, check_signature, text_to_sign
from provisioning_api.enrolment.proofs import SignedDiscovery
from provisioning_api.enrolment.schemas import Claimed, Membership, SignedCall, SignedReport
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.intake import Intake
from provisioning_api.machines.errors import key_conflict
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.keys import code_of
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import Discovered, Discovery
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MachineState
from soundstage.database import Database, utcnow
from soundstage.errors import Invalid, NotFound, TooManyRequests, Unauthorized

Payload = TypeVar("Payload", bound=BaseModel)


class RamdiskService:
    """Serves discovery and claims. `boot` and `reports` authenticate their calls here."""

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

    async def discover(self, call: SignedReport, *, source: str | None) -> Discovered:
        """Take a report that is signed by the key which it presents.

        Raises `machine.key_conflict` when another key counts for the machine; that this one reported is
        noted then, and nothing else.
        """
        self._challenges.check(call.agent_key, call.challenge)
        text = text_to_sign("discover", call.agent_key, call.challenge, call.payload)
        check_signature(call.agent_key, text, call.signature)
        report = read_payload(Discovery, call.payload)
        try:
            async with self._db.transaction() as session:
                await self._challenges.spend(session, call.challenge)
                signed = SignedDiscovery(report, call.agent_key, call.challenge)
                seen = await self._intake.discover(session, signed, source=source)
                machine = seen.machine
        except TooManyRequests as error:
            await self._intake.record_refusal(error, source)
            raise
        if seen.conflict:
            raise key_conflict(machine.name, code_of(call.agent_key))
        return Discovered(
            machine_id=machine.id,
            name=machine.name,
            state=machine.state,
            code=code_of(machine.agent_key),
            challenge=self._challenges.make(machine.id),
        )

    async def claim(self, call: SignedCall) -> Claimed:
        """Returns what to do next, and the token when there is one to be had."""
        async with self._db.transaction() as session:
            machine = await self.authenticate(session, "claim", call)
            if utcnow() - machine.seen_at > SEEN_AGAIN:
                machine.seen_at = utcnow()
            claimed = await self._enrolments.claim(session, machine) if machine.state in _MAY_CLAIM else None
        token, enrolment = claimed or (None, None)
        return Claimed(
            state=machine.state,
            next=_next(machine, armed=claimed is not None),
            token=token,
            expires_at=None if enrolment is None else enrolment.expires_at,
            challenge=self._challenges.make(machine.id),
        )

    async def collect(self, call: SignedCall) -> Membership:
        """Repeats the answer to an exchange that got lost."""
        async with self._db.transaction() as session:
            machine = await self.authenticate(session, "collect", call)
            membership = await self._enrolments.collect(session, machine)
        return await self._enrolments.complete(membership)

    def challenge(self, subject: str) -> str:
        """Returns a challenge for the next call of this machine, or of this key."""
        return self._challenges.make(subject)

    async def begin_write(self, session: AsyncSession, machine: Machine) -> None:
        """Keeps its window open for the write; raises unless it is bound to the ramdisk that speaks."""
        await self._enrolments.begin_write(session, machine)

    async def authenticate(self, session: AsyncSession, verb: str, call: SignedCall) -> Machine:
        """Returns the machine whose ramdisk signed this call; raises Unauthorized for all others."""
        self._challenges.check(call.machine_id, call.challenge)
        try:
            machine = await get_machine(session, call.machine_id)
        except NotFound as error:
            raise Unauthorized(
                "machine.unknown",
                "This machine is not known.",
                "It reports its hardware first, as each start from the network does.",
            ) from error
        text = text_to_sign(verb, call.machine_id, call.challenge, call.payload)
        check_signature(machine.agent_key, text, call.signature)
        await self._challenges.spend(session, call.challenge)
        return machine


def read_payload(kind: type[Payload], text: str) -> Payload:
    """Read the JSON of a signed call; raise `machine.bad_report` with the fields that are wrong."""
    try:
        return kind.model_validate_json(text or "{}")
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, one["loc"])) or "payload" for one in error.errors()}))
        raise Invalid(
            "machine.bad_report", f"The report cannot be read: {fields[:300]}.", "See the API reference."
        ) from error


# Machines that wait ask every few seconds: not each of their questions is worth a write.
SEEN_AGAIN = timedelta(minutes=1)
_MAY_CLAIM = frozenset({MachineState.ACCEPTED, MachineState.DEPLOYING})


def _next(machine: Machine, *, armed: bool) -> Any:
    match machine.state:
        case MachineState.DRAINING if machine.wiping is not None:
            return "wipe"
        case MachineState.ACCEPTED | MachineState.DEPLOYING if armed:
            return "write" if machine.standing.may_be_written else "enrol"
        case MachineState.DISCOVERED | MachineState.ACCEPTED | MachineState.DEPLOYING:
            return "wait"
        case _:
            return "boot"
