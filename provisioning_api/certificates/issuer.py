"""Issues certificates to members, with the settings for Consul and Nomad; called by the exchange."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.certificates.ssh_authority import SshAuthority, SshPublicKey
from provisioning_api.certificates.tls_authority import TlsAuthority
from provisioning_api.enrolment.models import Credential, Enrolment
from provisioning_api.enrolment.repository import Credentials, MachineTokens
from provisioning_api.enrolment.schemas import (
    ConsulIdentity,
    Exchange,
    JoinTokens,
    Membership,
    NomadIdentity,
    Renewed,
)
from provisioning_api.machines.models import Machine
from soundstage.database import utcnow
from soundstage.settings.sections import read_key_file

SSH_HOST, X509 = "ssh_host", "x509"
CERTIFICATES = (SSH_HOST, X509)


@dataclass(frozen=True, slots=True)
class MembershipTerms:
    """Settings that all members of this farm share."""

    lifetime: timedelta
    region: str
    datacenter: str
    ssh_user: str
    gossip_key_file: Path | None = None


class MembershipIssuer:
    def __init__(self, ssh: SshAuthority, tls: TlsAuthority, terms: MembershipTerms) -> None:
        self._ssh = ssh
        self._tls = tls
        self._terms = terms

    async def issue(
        self,
        session: AsyncSession,
        machine: Machine,
        enrolment: Enrolment,
        exchange: Exchange,
        host_key: SshPublicKey,
        source: str,
    ) -> Membership:
        """Signs certificates and stores them in the caller's transaction. `source`: see `sign`."""
        pair = await self.sign(session, machine, enrolment.id, exchange.csr, host_key, 0, source)
        return await self._membership(session, machine, pair)

    async def repeat(self, session: AsyncSession, machine: Machine, enrolment: Enrolment) -> Membership:
        """Returns the certificates that `issue` signed for this enrolment; signs nothing."""
        return await self._membership(session, machine, await self.pair(session, enrolment.id, 0))

    async def sign(
        self,
        session: AsyncSession,
        machine: Machine,
        enrolment_id: str,
        csr: str,
        host_key: SshPublicKey,
        generation: int,
        source: str,
    ) -> Renewed:
        """Signs the two certificates of a generation; the database refuses a generation that exists.

        `source`: the address that the call came from. The address that a machine reports goes into its
        certificate only when they are equal.
        """
        terms = self._terms
        ssh_serial, tls_serial = secrets.randbits(63) | 1, secrets.randbits(127) | 1
        host_certificate = self._ssh.host_certificate(host_key, ssh_serial, machine.name, terms.lifetime)
        certificate = self._tls.machine_certificate(
            csr, tls_serial, machine.name, _names(machine, terms, source), terms.lifetime
        )
        not_after = utcnow() + terms.lifetime
        for kind, serial, content in (
            (SSH_HOST, ssh_serial, host_certificate),
            (X509, tls_serial, certificate),
        ):
            await Credentials(session).add(
                Credential(
                    serial=str(serial),
                    enrolment_id=enrolment_id,
                    machine_id=machine.id,
                    kind=kind,
                    generation=generation,
                    content=content,
                    not_after=not_after,
                )
            )
        return self._with_authorities(host_certificate, certificate, not_after)

    async def pair(self, session: AsyncSession, enrolment_id: str, generation: int) -> Renewed:
        """Returns the stored certificates of a generation."""
        stored = {
            one.kind: one
            for one in await Credentials(session).of_enrolment(enrolment_id)
            if one.generation == generation
        }
        ssh, tls = stored[SSH_HOST], stored[X509]
        return self._with_authorities(ssh.content, tls.content, tls.not_after)

    def engine_settings(self) -> JoinTokens:
        """Returns the settings for Nomad and Consul that all members share, without tokens."""
        gossip = self._terms.gossip_key_file
        key = None if gossip is None else read_key_file(gossip)
        return JoinTokens(
            nomad=NomadIdentity(region=self._terms.region),
            consul=ConsulIdentity(datacenter=self._terms.datacenter, gossip_key=key),
        )

    def _with_authorities(self, host_certificate: str, certificate: str, not_after: datetime) -> Renewed:
        return Renewed(
            host_certificate=host_certificate,
            certificate=certificate,
            ca=self._tls.pem,
            user_ca=self._ssh.user_ca_public_key,
            not_after=not_after,
        )

    async def _membership(self, session: AsyncSession, machine: Machine, pair: Renewed) -> Membership:
        token = secrets.token_urlsafe(32)
        await MachineTokens(session).replace(machine.id, hashlib.sha256(token.encode()).hexdigest())
        engines = self.engine_settings()
        return Membership(
            machine_id=machine.id,
            name=machine.name,
            host_certificate=pair.host_certificate,
            user_ca=pair.user_ca,
            ssh_user=self._terms.ssh_user,
            certificate=pair.certificate,
            ca=pair.ca,
            nomad=engines.nomad,
            consul=engines.consul,
            call_home_token=token,
            not_after=pair.not_after,
        )


def _names(machine: Machine, terms: MembershipTerms, source: str) -> list[str]:
    """Returns the names that Nomad and Consul verify (`verify_server_hostname`), never those of a server."""
    names = [
        f"client.{terms.region}.nomad",
        f"client.{terms.datacenter}.consul",
        f"{machine.name}.node.{terms.datacenter}.consul",
        "localhost",
        "127.0.0.1",
    ]
    return [*names, source] if machine.address == source else names
