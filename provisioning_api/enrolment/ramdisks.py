"""Serves ramdisks; each call is signed with the key of the ramdisk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.challenges import Challenges, check_signature, text_to_sign
from provisioning_api.enrolment.proofs import SignedDiscovery
from provisioning_api.enrolment.schemas import Claimed, Membership, SignedCall, SignedReport
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.intake import Intake
from provisioning_api.machines.keys import code_of
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import Discovered, Discovery
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MachineState
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid, NotFound, TooManyRequests, Unauthorized

Payload = TypeVar("Payload", bound=BaseModel)
NextStep = Literal["wipe", "write", "enrol", "wait", "boot"]

# Machines that wait poll every few seconds: not each of these calls is worth a write.
SEEN_AT_RESOLUTION = timedelta(minutes=1)


@dataclass
class RamdiskService:
    """Serves discovery and claims. `boot` and `reports` authenticate their calls here."""

    db: Database
    intake: Intake
    enrolments: EnrolmentService
    challenges: Challenges

    async def discover(self, call: SignedReport, *, source: str | None) -> Discovered:
        """Records a report that is signed by the key that it presents.

        Raises `machine.key_conflict` when the machine is bound to another key. The refused key is recorded;
        nothing of its report is.
        """
        self.challenges.check(call.agent_key, call.challenge)
        text = text_to_sign("discover", call.agent_key, call.challenge, call.payload)
        check_signature(call.agent_key, text, call.signature)
        report = read_payload(Discovery, call.payload)
        try:
            async with self.db.transaction() as session:
                await self.challenges.spend(session, call.challenge)
                signed = SignedDiscovery(report, call.agent_key, call.challenge)
                seen = await self.intake.discover(session, signed, source=source)
                machine = seen.machine
        except TooManyRequests as error:
            await self.intake.record_refusal(error, source)
            raise
        if seen.conflict:
            # After the report was noted: the key that counts stays the one that it was.
            name, code = machine.name, code_of(call.agent_key)
            raise Conflict(
                "machine.key_conflict",
                f"{name} is known with another key than this one ({code}); a person decides which one "
                "counts.",
                f"If {code} stands on its console: `soundstage machines key {name} --code {code}`.",
            )
        return Discovered(
            machine_id=machine.id,
            name=machine.name,
            state=machine.state,
            code=code_of(machine.agent_key),
            challenge=self.challenges.make(machine.id),
        )

    async def claim(self, call: SignedCall) -> Claimed:
        """Returns what to do next, and the enrolment token if the enrolment is armed."""
        async with self.db.transaction() as session:
            machine = await self.authenticate(session, "claim", call)
            if utcnow() - machine.seen_at > SEEN_AT_RESOLUTION:
                machine.seen_at = utcnow()
            claimed = await self.enrolments.claim(session, machine) if machine.state in _MAY_CLAIM else None
        token, enrolment = claimed or (None, None)
        return Claimed(
            state=machine.state,
            next=_next_step(machine, armed=claimed is not None),
            token=token,
            expires_at=None if enrolment is None else enrolment.expires_at,
            challenge=self.challenges.make(machine.id),
        )

    async def collect(self, call: SignedCall) -> Membership:
        """Returns the membership again when the answer to the token exchange was lost."""
        async with self.db.transaction() as session:
            machine = await self.authenticate(session, "collect", call)
            membership = await self.enrolments.collect(session, machine)
        return await self.enrolments.engines.complete(membership)

    async def authenticate(self, session: AsyncSession, verb: str, call: SignedCall) -> Machine:
        """Returns the machine whose ramdisk signed this call; raises Unauthorized for all others."""
        self.challenges.check(call.machine_id, call.challenge)
        try:
            machine = await get_machine(session, call.machine_id)
        except NotFound as error:
            raise Unauthorized(
                "machine.unknown",
                "This machine is not known.",
                "A machine reports its hardware first, which each network boot does.",
            ) from error
        text = text_to_sign(verb, call.machine_id, call.challenge, call.payload)
        check_signature(machine.agent_key, text, call.signature)
        await self.challenges.spend(session, call.challenge)
        return machine


def read_payload(kind: type[Payload], text: str) -> Payload:
    """Parses the JSON of a signed call. Raises `machine.bad_report`, which names the wrong fields."""
    try:
        return kind.model_validate_json(text or "{}")
    except ValidationError as error:
        fields = ", ".join(
            sorted({".".join(map(str, wrong["loc"])) or "payload" for wrong in error.errors()})
        )
        raise Invalid(
            "machine.bad_report", f"The report cannot be read: {fields[:300]}.", "See the API reference."
        ) from error


_MAY_CLAIM = frozenset({MachineState.ACCEPTED, MachineState.DEPLOYING})


def _next_step(machine: Machine, *, armed: bool) -> NextStep:
    match machine.state:
        case MachineState.DRAINING if machine.wiping is not None:
            return "wipe"
        case MachineState.ACCEPTED | MachineState.DEPLOYING if armed:
            return "write" if machine.guard_facts.may_be_written else "enrol"
        case MachineState.DISCOVERED | MachineState.ACCEPTED | MachineState.DEPLOYING:
            return "wait"
        case _:
            return "boot"
