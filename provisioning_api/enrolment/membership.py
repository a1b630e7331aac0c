"""Makes what a member holds: certificates, and what Consul and Nomad want to see; called by the exchange."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.models import Credential, Enrolment
from provisioning_api.enrolment.repository import Credentials, MachineTokens
from provisioning_api.enrolment.schemas import ConsulIdentity, Exchange, Membership, NomadIdentity
from provisioning_api.enrolment.ssh_authority import SshAuthority, SshPublicKey
from provisioning_api.enrolment.tls_authority import TlsAuthority
from provisioning_api.machines.models import Machine
from soundstage.database import utcnow
from soundstage.settings.sections import read_key_file

SSH_HOST, X509 = "ssh_host", "x509"


@dataclass(frozen=True, slots=True)
class MemberTerms:
    """What every member of this farm gets alike."""

    lifetime: timedelta
    region: str
    datacenter: str
    ssh_user: str
    gossip_key_file: Path | None = None


class MemberMaker:
    def __init__(self, ssh: SshAuthority, tls: TlsAuthority, terms: MemberTerms) -> None:
        self._ssh = ssh
        self._tls = tls
        self._terms = terms

    async def make(
        self,
        session: AsyncSession,
        machine: Machine,
        enrolment: Enrolment,
        exchange: Exchange,
        host_key: SshPublicKey,
    ) -> Membership:
        """Signs, and writes down what was signed, in the caller's transaction."""
        terms = self._terms
        ssh_serial, tls_serial = secrets.randbits(63) | 1, secrets.randbits(127) | 1
        host_certificate = self._ssh.host_certificate(host_key, ssh_serial, machine.name, terms.lifetime)
        certificate = self._tls.machine_certificate(
            exchange.csr, tls_serial, machine.name, _names(machine, terms), terms.lifetime
        )
        not_after = utcnow() + terms.lifetime
        for kind, serial, content in (
            (SSH_HOST, ssh_serial, host_certificate),
            (X509, tls_serial, certificate),
        ):
            await Credentials(session).add(
                Credential(
                    serial=str(serial),
                    enrolment_id=enrolment.id,
                    machine_id=machine.id,
                    kind=kind,
                    content=content,
                    not_after=not_after,
                )
            )
        return await self._membership(session, machine, host_certificate, certificate, not_after)

    async def again(self, session: AsyncSession, machine: Machine, enrolment: Enrolment) -> Membership:
        """What `make` gave for this enrolment: the same certificates once more, and nothing new is signed."""
        held = {one.kind: one for one in await Credentials(session).of_enrolment(enrolment.id)}
        ssh, tls = held[SSH_HOST], held[X509]
        return await self._membership(session, machine, ssh.content, tls.content, tls.not_after)

    async def _membership(
        self,
        session: AsyncSession,
        machine: Machine,
        host_certificate: str,
        certificate: str,
        not_after: datetime,
    ) -> Membership:
        terms = self._terms
        token = secrets.token_urlsafe(32)
        await MachineTokens(session).replace(machine.id, hashlib.sha256(token.encode()).hexdigest())
        gossip = terms.gossip_key_file
        return Membership(
            machine_id=machine.id,
            name=machine.name,
            host_certificate=host_certificate,
            user_ca=self._ssh.user_ca,
            ssh_user=terms.ssh_user,
            certificate=certificate,
            ca=self._tls.pem,
            nomad=NomadIdentity(region=terms.region),
            consul=ConsulIdentity(
                datacenter=terms.datacenter, gossip_key=None if gossip is None else read_key_file(gossip)
            ),
            call_home_token=token,
            not_after=not_after,
        )


def _names(machine: Machine, terms: MemberTerms) -> list[str]:
    """What Nomad and Consul verify (`verify_server_hostname`): clients never get a server's name."""
    names = [
        f"client.{terms.region}.nomad",
        f"client.{terms.datacenter}.consul",
        f"{machine.name}.node.{terms.datacenter}.consul",
        "localhost",
        "127.0.0.1",
    ]
    return names if machine.address is None else [*names, machine.address]
