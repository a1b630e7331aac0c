"""Renews the certificates of members before they end; the key of the old one signs the request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.certificates.issuer import X509, MembershipIssuer
from provisioning_api.certificates.ssh_authority import parse_public_key
from provisioning_api.certificates.tls_authority import key_of_certificate, key_of_request
from provisioning_api.enrolment.challenges import Challenges, PublicKey, check_signature_of, text_to_sign
from provisioning_api.enrolment.models import Credential
from provisioning_api.enrolment.repository import Credentials
from provisioning_api.enrolment.schemas import RenewalCall, Renewed
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MEMBERS
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Forbidden, Unauthorized

ENROL_ANEW = (
    "Let it enrol anew: `soundstage machines accept NAME`, then `soundstage machines arm NAME --token`, and "
    "carry the token there."
)


@dataclass
class Renewal:
    """Renews without an operator: the key of a valid certificate proves which member calls.

    A certificate is renewed once, and not in the first half of its life; agents call from the last third on.
    Name and SSH host key stay the same; a new host key needs a new enrolment.
    """

    db: Database
    journal: MachineJournal
    members: MembershipIssuer
    challenges: Challenges

    async def renew(self, call: RenewalCall, *, source: str) -> Renewed:
        """Returns the next certificates; a repeated request for the same key gets the same answer."""
        self.challenges.check(call.machine_id, call.challenge)
        async with self.db.transaction() as session:
            held = await Credentials(session).find(call.serial)
            if held is None or held.kind != X509 or held.machine_id != call.machine_id:
                raise Unauthorized(
                    "renewal.unknown_certificate", "This machine has no such certificate.", ENROL_ANEW
                )
            text = text_to_sign("renew", call.machine_id, call.challenge, call.csr)
            check_signature_of(key_of_certificate(held.content), text, call.signature)
            await self.challenges.spend(session, call.challenge)
            machine = await get_machine(session, held.machine_id)
            _check_good(machine, held)
            newest = await Credentials(session).newest_generation(held.enrolment_id, X509)
            if newest > held.generation:
                return await self._repeat(session, held, call.csr)
            _check_time(held)
            pair = await self.members.sign(
                session,
                machine,
                held.enrolment_id,
                call.csr,
                parse_public_key(machine.host_key or ""),
                held.generation + 1,
                source,
            )
            await self.journal.audit(
                session,
                machine,
                "the machine itself",
                "renewed",
                serial=held.serial,
                ends=_day(pair.not_after),
            )
            await self.journal.emit(session, machine, "renewed", not_after=pair.not_after.isoformat())
            return pair

    async def _repeat(self, session: AsyncSession, held: Credential, csr: str) -> Renewed:
        pair = await self.members.pair(session, held.enrolment_id, held.generation + 1)
        if _raw(key_of_certificate(pair.certificate)) != _raw(key_of_request(csr)):
            raise Conflict(
                "renewal.done_already",
                "This certificate was renewed already, for another key.",
                "If it was not this machine that did it, retire the machine and look at the audit record.",
            )
        return pair


def _check_good(machine: Machine, held: Credential) -> None:
    if held.revoked_at is not None or machine.state not in MEMBERS or machine.host_key is None:
        raise Forbidden("renewal.revoked", "This certificate was revoked.", ENROL_ANEW)
    if held.not_after <= utcnow():
        raise Forbidden("renewal.expired", f"This certificate ended on {_day(held.not_after)}.", ENROL_ANEW)


def _check_time(held: Credential) -> None:
    begin = held.not_after - (held.not_after - held.issued_at) / 2
    if utcnow() < begin:
        raise Conflict(
            "renewal.too_early",
            f"This certificate is good until {_day(held.not_after)}.",
            f"Renew it from {_day(begin)} on.",
        )


def _day(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _raw(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
