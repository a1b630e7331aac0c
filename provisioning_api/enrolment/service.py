"""Enrols machines: an operator authorizes, the ramdisk claims a token and exchanges it once for certificates.

Authorizing is called `arm` in the CLI and in the API; an authorized enrolment is in the state `armed`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.audit.refusals import RefusalLog
from provisioning_api.certificates.issuer import MembershipIssuer
from provisioning_api.certificates.ssh_authority import key_line, parse_public_key
from provisioning_api.enrolment.engine_identities import EngineIdentities
from provisioning_api.enrolment.models import Enrolment
from provisioning_api.enrolment.repository import Credentials, Enrolments, MachineTokens
from provisioning_api.enrolment.schemas import (
    Armed,
    ArmRequest,
    CredentialView,
    EngineName,
    EnrolmentView,
    Exchange,
    JoinTokens,
    Membership,
)
from provisioning_api.enrolment.states import EnrolmentState, move, state_at
from provisioning_api.machines.identity import usable_uuid
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MachineState
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Forbidden, SoundstageError, Unauthorized
from soundstage.views import read_view

# Slow disks and slow networks take hours; the token stays with the one ramdisk that claimed it.
WRITE_WINDOW = timedelta(hours=6)
RETIRED_BY = "retired by "
"""The begin of a revocation's reason; `enrolment/proofs.py` recognizes retired machines by it."""
MAY_ENROL = frozenset({MachineState.ACCEPTED, MachineState.DEPLOYING})
_ARM = "Arm another: `soundstage machines arm NAME`."


@dataclass
class EnrolmentService:
    db: Database
    journal: MachineJournal
    refusals: RefusalLog
    members: MembershipIssuer
    engines: EngineIdentities
    lifetime: timedelta

    async def authorize(self, name: str, request: ArmRequest, *, by: str) -> Armed:
        """Authorizes one machine to enrol, for a limited time; revokes an enrolment that was open before."""
        async with self.db.transaction() as session:
            machine = await get_machine(session, name)
            return await self.authorize_in(session, machine, request, by=by)

    async def authorize_in(
        self, session: AsyncSession, machine: Machine, request: ArmRequest, *, by: str
    ) -> Armed:
        """Does the same in the caller's transaction."""
        if machine.state not in MAY_ENROL:
            raise Conflict(
                "enrolment.not_accepted",
                f"{machine.name} is {machine.state}; only an accepted machine can be armed.",
                f"Accept it first: `soundstage machines accept {machine.name}`.",
            )
        await self.revoke_open(session, machine.id)
        macs = (await Machines(session).macs_of([machine.id]))[machine.id]
        enrolment = Enrolment(
            machine_id=machine.id,
            state=EnrolmentState.ARMED,
            macs=list(macs),
            uuid=machine.uuid,
            agent_key=machine.agent_key if request.bind == "reported" else None,
            armed_by=by,
            expires_at=utcnow() + self.lifetime,
        )
        await Enrolments(session).add(enrolment)
        token = self._issue(enrolment) if request.deliver == "operator" else None
        machine.hint = ""
        await self.journal.audit(session, machine, by, "armed", enrolment=enrolment.id, bind=request.bind)
        await self.journal.emit(session, machine, "armed", expires_at=enrolment.expires_at.isoformat())
        return Armed(**_view(enrolment).model_dump(), token=token)

    async def rebind(self, session: AsyncSession, machine: Machine, *, by: str) -> None:
        """Moves an open enrolment to the machine's new key."""
        if await self.revoke_open(session, machine.id) and machine.state in MAY_ENROL:
            await self.authorize_in(session, machine, ArmRequest(), by=by)

    async def claim(self, session: AsyncSession, machine: Machine) -> tuple[str, Enrolment] | None:
        """Returns a token for the ramdisk whose signature was checked; None without an open enrolment.

        A repeated claim, after a lost answer, replaces the token: only the last one is valid.
        """
        now = utcnow()
        for enrolment in await Enrolments(session).open_of(machine.id):
            if state_at(EnrolmentState(enrolment.state), enrolment.expires_at, now) is EnrolmentState.EXPIRED:
                enrolment.state = EnrolmentState.EXPIRED
                continue
            if enrolment.agent_key not in (None, machine.agent_key):
                raise Forbidden(
                    "enrolment.other_ramdisk",
                    "The enrolment is armed for another ramdisk than the one that claims it.",
                    "If the machine was started anew, arm it for the next one: "
                    "`soundstage machines arm NAME --next`.",
                )
            enrolment.agent_key = machine.agent_key
            return self._issue(enrolment), enrolment
        return None

    async def begin_write(self, session: AsyncSession, machine: Machine) -> None:
        """Extends the enrolment by `WRITE_WINDOW` while the disk is written. (`boot/service.py` checks that
        one write begins per acceptance.)

        Raises `enrolment.not_claimed` unless this ramdisk has a valid token.
        """
        now = utcnow()
        for enrolment in await Enrolments(session).open_of(machine.id):
            state = state_at(EnrolmentState(enrolment.state), enrolment.expires_at, now)
            if state is EnrolmentState.ISSUED and enrolment.agent_key == machine.agent_key:
                enrolment.expires_at = max(enrolment.expires_at, now + WRITE_WINDOW)
                return
        raise Forbidden(
            "enrolment.not_claimed",
            "This ramdisk holds no token that is good.",
            "Claim one first; if the window has closed, arm the machine again.",
        )

    async def exchange(self, exchange: Exchange, *, source: str) -> Membership:
        """Exchanges a token for a membership, once. Each refusal is recorded with its source."""
        try:
            async with self.db.transaction() as session:
                membership = await self._exchange(session, exchange, source)
        except SoundstageError as error:
            await self._refused(exchange, source, error)
            raise
        return await self.engines.complete(membership)

    async def _exchange(self, session: AsyncSession, exchange: Exchange, source: str) -> Membership:
        enrolment = await Enrolments(session).by_token(_digest(exchange.token))
        if enrolment is None:
            # Also one that was replaced.
            raise Unauthorized("enrolment.bad_token", "This token is unknown.", _ARM)
        match state_at(EnrolmentState(enrolment.state), enrolment.expires_at, utcnow()):
            case EnrolmentState.USED:
                raise Conflict(
                    "enrolment.token_used",
                    "This token was used already.",
                    "If it was not this machine that used it, retire the machine and look at the audit "
                    "record.",
                )
            case EnrolmentState.EXPIRED:
                raise Forbidden("enrolment.expired", "This token has expired.", _ARM)
            case EnrolmentState.REVOKED:
                raise Forbidden("enrolment.revoked", "This token was revoked.", _ARM)
        if sorted(exchange.macs) != enrolment.macs or usable_uuid(exchange.uuid) != enrolment.uuid:
            # `_refused` revokes the token.
            raise Forbidden(
                "enrolment.wrong_machine",
                "This token was armed for a machine with other addresses or another UUID, and is revoked "
                "now.",
                "If a card was changed, accept the machine anew; if not, the token has been stolen.",
            )
        machine = await get_machine(session, enrolment.machine_id)
        host_key = parse_public_key(exchange.host_key)
        line = key_line(host_key)
        if (other := await Machines(session).by_host_key(line)) is not None and other.id != machine.id:
            raise Conflict(
                "enrolment.host_key_known",
                f"This host key belongs to {other.name} already.",
                "Keys are made on each machine: remove /etc/ssh/ssh_host_* from the image, and let it make "
                "its own.",
            )
        await self._revoke_credentials(session, machine.id, "enrolled anew")
        machine.host_key, machine.host_key_from = line, "enrolment"
        # The machine is installed: it gives up the write that its last acceptance granted.
        machine.written, machine.seen_at = machine.acceptance, utcnow()
        await self.journal.move(session, machine, MachineState.ENROLLED, by=enrolment.armed_by)
        membership = await self.members.issue(session, machine, enrolment, exchange, host_key, source)
        enrolment.state = move(EnrolmentState(enrolment.state), EnrolmentState.USED)
        enrolment.used_at = utcnow()
        await self.journal.audit(session, machine, enrolment.armed_by, "enrolled", enrolment=enrolment.id)
        return membership

    async def join_tokens(self, machine_id: str, only: Collection[EngineName]) -> JoinTokens:
        """Creates new tokens for a member that showed its own token."""
        return await self.engines.renew(machine_id, self.members.engine_settings(), only)

    async def collect(self, session: AsyncSession, machine: Machine) -> Membership:
        """Returns the answer to an exchange again, for a ramdisk whose signature was checked.

        Only for the ramdisk that claimed the token, and only until the enrolment would have expired.
        """
        for enrolment in await Enrolments(session).of_machine(machine.id):
            used = EnrolmentState(enrolment.state) is EnrolmentState.USED
            same = machine.agent_key is not None and enrolment.agent_key == machine.agent_key
            if used and same and enrolment.expires_at > utcnow() and machine.state is MachineState.ENROLLED:
                return await self.members.repeat(session, machine, enrolment)
        raise Conflict(
            "enrolment.nothing_to_collect",
            "This ramdisk has exchanged no token, or it is too long ago.",
            "Accept the machine anew; it then enrols once more.",
        )

    async def of_machine(self, name: str) -> list[EnrolmentView]:
        """Newest first."""
        async with self.db.session() as session:
            machine = await get_machine(session, name)
            return [_view(one) for one in await Enrolments(session).of_machine(machine.id)]

    async def credentials_of(self, name: str) -> list[CredentialView]:
        async with self.db.session() as session:
            machine = await get_machine(session, name)
            active = await Credentials(session).active_of(machine.id)
        return [CredentialView.model_validate(one, from_attributes=True) for one in active]

    async def cancel(self, name: str, *, by: str) -> None:
        """Revokes the open enrolments of a machine; does nothing when there is none."""
        async with self.db.transaction() as session:
            machine = await get_machine(session, name)
            if await self.revoke_open(session, machine.id):
                await self.journal.audit(session, machine, by, "disarmed")

    async def revoke_open(self, session: AsyncSession, machine_id: str) -> int:
        """Revokes the open enrolments of a machine; returns how many."""
        found = await Enrolments(session).open_of(machine_id)
        for enrolment in found:
            enrolment.state = move(EnrolmentState(enrolment.state), EnrolmentState.REVOKED)
        return len(found)

    async def revoke_all(self, session: AsyncSession, machine: Machine, because: str) -> int:
        """Revokes all credentials, tokens and open enrolments of a machine. Returns how many credentials it
        revoked: certificates, and tokens of Consul, which a worker revokes there later.
        """
        await self.revoke_open(session, machine.id)
        await MachineTokens(session).remove(machine.id)
        return await self._revoke_credentials(session, machine.id, because)

    async def _revoke_credentials(self, session: AsyncSession, machine_id: str, because: str) -> int:
        active = await Credentials(session).active_of(machine_id)
        for credential in active:
            credential.revoked_at, credential.revoked_because = utcnow(), because
        return len(active)

    async def _refused(self, exchange: Exchange, source: str, error: SoundstageError) -> None:
        """Records a refused exchange, and revokes a token that the wrong machine has shown."""
        async with self.db.session() as session:
            enrolment = await Enrolments(session).by_token(_digest(exchange.token))
        subject = "unknown" if enrolment is None else enrolment.machine_id
        facts = {"macs": sorted(exchange.macs), "uuid": exchange.uuid}
        first = await self.refusals.note(source, "enrolment.refused", error.code, subject, facts)
        if enrolment is None:
            return
        async with self.db.transaction() as session:
            enrolment = await Enrolments(session).by_token(_digest(exchange.token))
            if enrolment is None:
                return
            if first:
                machine = await get_machine(session, enrolment.machine_id)
                await self.journal.emit(session, machine, "enrolment_refused", code=error.code, source=source)
            if error.code == "enrolment.wrong_machine":
                enrolment.state = move(EnrolmentState(enrolment.state), EnrolmentState.REVOKED)

    def _issue(self, enrolment: Enrolment) -> str:
        token = secrets.token_urlsafe(32)
        enrolment.token_sha256 = _digest(token)
        enrolment.state = move(EnrolmentState(enrolment.state), EnrolmentState.ISSUED)
        return token


def _digest(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def _view(enrolment: Enrolment) -> EnrolmentView:
    return read_view(
        EnrolmentView,
        enrolment,
        state=state_at(EnrolmentState(enrolment.state), enrolment.expires_at, utcnow()),
        bound=enrolment.agent_key is not None,
    )
