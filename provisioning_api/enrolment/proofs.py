"""Checks proofs that a ramdisk with a new key runs on a registered machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.announcements.service import AnnouncementService
from provisioning_api.certificates.issuer import X509
from provisioning_api.certificates.tls_authority import key_of_certificate
from provisioning_api.enrolment.challenges import check_signature_of, text_to_sign
from provisioning_api.enrolment.repository import Credentials
from provisioning_api.enrolment.service import RETIRED_BY
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import Discovery
from provisioning_api.machines.states import MachineState
from soundstage.errors import Unauthorized


class ProofMethod(StrEnum):
    """The proof that bound a key to a machine; its text appears in the audit log."""

    MEMBER = "its member credential"
    ANNOUNCEMENT = "its announced secret"


@dataclass(frozen=True, slots=True)
class SignedDiscovery:
    """A report whose signature by `agent_key` was checked."""

    report: Discovery
    agent_key: str
    challenge: str


class Proofs:
    def __init__(self, announcements: AnnouncementService) -> None:
        self._announcements = announcements

    async def method(
        self, session: AsyncSession, machine: Machine, call: SignedDiscovery
    ) -> ProofMethod | None:
        """Returns the proof that the key is this machine's; None without one."""
        if await self._by_member(session, machine, call):
            return ProofMethod.MEMBER
        text = text_to_sign("announced", call.agent_key, call.challenge, "")
        serial, proof = call.report.hardware.serial, call.report.announced
        proved = await self._announcements.proves(session, machine, serial, proof, text)
        return ProofMethod.ANNOUNCEMENT if proved else None

    async def _by_member(self, session: AsyncSession, machine: Machine, call: SignedDiscovery) -> bool:
        proof = call.report.member
        held = None if proof is None else await Credentials(session).find(proof.serial)
        if proof is None or held is None or held.kind != X509 or held.machine_id != machine.id:
            return False
        if held.revoked_at is not None:
            # A certificate revoked by the retirement still identifies the machine whose disks are to be
            # wiped, and proves nothing else.
            retiring = machine.state is MachineState.DRAINING
            if not (retiring and held.revoked_because.startswith(RETIRED_BY)):
                return False
        text = text_to_sign("member", call.agent_key, call.challenge, "")
        try:
            check_signature_of(key_of_certificate(held.content), text, proof.signature)
        except Unauthorized:
            return False
        return True
