"""Certificates are renewed with the key of the ones before, once, in time; those that ended name their
machine.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import eventually
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ramdisk import Ramdisk
from sqlalchemy import select, update

from app.provisioning import ProvisioningProcess
from provisioning_api.certificates.expiry import Expiry
from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.server_certificate import ServerCertificate
from provisioning_api.certificates.tls_authority import TlsAuthority
from provisioning_api.enrolment.challenges import text_to_sign
from provisioning_api.enrolment.models import Credential
from provisioning_api.machines.journal import MachineJournal

LIFETIME = timedelta(days=90)
Enrol = Callable[..., Awaitable["Member"]]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey


def csr_of(key: Key) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever")])
    algorithm = None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def sign(key: Key, text: bytes) -> str:
    match key:
        case ec.EllipticCurvePrivateKey():
            signature = key.sign(text, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        case _:
            signature = key.sign(text)
    return base64.b64encode(signature).decode()


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Member:
    """A machine that has enrolled, with the key of its certificate."""

    client: httpx.AsyncClient
    machine_id: str
    key: Key
    got: dict[str, Any]

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.got["certificate"].encode())

    async def renew(self, new: Key, **changed: Any) -> httpx.Response:
        request = await self.client.post("/api/agent/challenge", json={"machine_id": self.machine_id})
        challenge, csr = request.raise_for_status().json()["challenge"], csr_of(new)
        call = {
            "machine_id": self.machine_id,
            "challenge": challenge,
            "serial": str(self.certificate.serial_number),
            "csr": csr,
            "signature": sign(self.key, text_to_sign("renew", self.machine_id, challenge, csr)),
        }
        return await self.client.post("/api/agent/renew", json={**call, **changed})


@pytest.fixture
def enrol(operator: httpx.AsyncClient, machine_client: httpx.AsyncClient) -> Enrol:
    async def made(name: str = "node1", key: Key | None = None) -> Member:
        own = key or p256()
        ramdisk = Ramdisk(machine_client)
        await ramdisk.discover()
        await operator.post(
            f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
        )
        answer = await ramdisk.enrol(await ramdisk.token(), csr=csr_of(own))
        return Member(machine_client, ramdisk.machine_id, own, answer.raise_for_status().json())

    return made


async def grow_older(process: ProvisioningProcess, by: timedelta) -> None:
    """As if everything had been signed that much earlier."""
    async with process.database.transaction() as session:
        for row in await session.scalars(select(Credential)):
            row.issued_at, row.not_after = row.issued_at - by, row.not_after - by


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    "key",
    [p256(), Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 3072)],
    ids=["p256", "ed25519", "rsa"],
)
async def test_a_member_renews_its_certificates_with_the_key_that_it_holds(
    operator: httpx.AsyncClient, process: ProvisioningProcess, enrol: Enrol, key: Key
) -> None:
    member = await enrol(key=key)
    await grow_older(process, LIFETIME * 0.7)
    new = p256()
    got = (await member.renew(new)).raise_for_status().json()
    fresh = x509.load_pem_x509_certificate(got["certificate"].encode())
    assert fresh.public_key() == new.public_key()
    assert fresh.subject == member.certificate.subject
    fresh.verify_directly_issued_by(x509.load_pem_x509_certificate(got["ca"].encode()))
    kind = x509.SubjectAlternativeName
    assert fresh.extensions.get_extension_for_class(kind) == (
        member.certificate.extensions.get_extension_for_class(kind)
    )
    before, after = (
        serialization.load_ssh_public_identity(one["host_certificate"].encode()) for one in (member.got, got)
    )
    assert isinstance(before, serialization.SSHCertificate) and isinstance(
        after, serialization.SSHCertificate
    )
    assert (after.public_key(), after.valid_principals) == (before.public_key(), before.valid_principals)
    assert after.valid_before >= before.valid_before
    held = (await operator.get("/api/machines/node1/credentials")).json()
    assert sorted((one["kind"], one["generation"]) for one in held) == [
        ("ssh_host", 0), ("ssh_host", 1), ("x509", 0), ("x509", 1),
    ]  # fmt: skip
    records = (await operator.get("/api/audit", params={"limit": 1000})).json()
    assert "machine.renewed" in {one["action"] for one in records}


async def test_a_renewal_whose_answer_was_lost_is_asked_again_and_nothing_new_is_signed(
    process: ProvisioningProcess, enrol: Enrol
) -> None:
    member = await enrol()
    await grow_older(process, LIFETIME * 0.7)
    new = p256()
    first, again = (await member.renew(new)).json(), (await member.renew(new)).json()
    assert first == again
    refused(await member.renew(p256()), 409, "renewal.done_already")


async def test_a_certificate_is_not_renewed_in_the_first_half_of_its_life(
    process: ProvisioningProcess, enrol: Enrol
) -> None:
    member = await enrol()
    refused(await member.renew(p256()), 409, "renewal.too_early")
    await grow_older(process, LIFETIME * 0.45)
    refused(await member.renew(p256()), 409, "renewal.too_early")
    await grow_older(process, LIFETIME * 0.1)
    assert (await member.renew(p256())).is_success


async def test_a_certificate_that_ended_renews_nothing_and_its_machine_says_so(
    operator: httpx.AsyncClient, process: ProvisioningProcess, enrol: Enrol
) -> None:
    member = await enrol()
    await grow_older(process, LIFETIME * 1.01)
    refused(await member.renew(p256()), 403, "renewal.expired")
    await expiry(process).look()
    machine = (await operator.get("/api/machines/node1")).json()
    assert machine["state"] == "failed" and "certificates ended" in machine["cause"]
    assert "soundstage machines arm node1 --token" in machine["hint"]
    # The way forward that the hint names.
    await operator.post("/api/machines/node1/accept", json={"code": machine["code"]})
    armed = await operator.post("/api/machines/node1/enrolments", json={"deliver": "operator"})
    ramdisk = Ramdisk(member.client, macs=machine["macs"], uuid=machine["uuid"])
    assert (await ramdisk.enrol(armed.json()["token"])).is_success
    await expiry(process).look()
    assert (await operator.get("/api/machines/node1")).json()["state"] == "enrolled"


async def test_an_end_that_is_near_is_told_once(process: ProvisioningProcess, enrol: Enrol) -> None:
    member = await enrol()
    watch = expiry(process)

    async def warnings() -> int:
        events = await process.services.events.read("machines", limit=1000)
        return sum(event.kind == "machine.certificate_ending" for event in events)

    await watch.look()
    assert await warnings() == 0
    await grow_older(process, LIFETIME * 0.9)
    await watch.look()
    await watch.look()
    assert await warnings() == 1
    (await member.renew(p256())).raise_for_status()
    await watch.look()
    assert await warnings() == 1


async def test_only_the_key_of_the_certificate_renews_it(process: ProvisioningProcess, enrol: Enrol) -> None:
    member, other = await enrol("node1"), await enrol("node2")
    await grow_older(process, LIFETIME * 0.7)
    thief = Member(member.client, member.machine_id, other.key, member.got)
    refused(await thief.renew(p256()), 401, "enrolment.bad_signature")
    refused(await member.renew(p256(), csr=csr_of(p256())), 401, "enrolment.bad_signature")
    borrowed = Member(member.client, member.machine_id, other.key, other.got)
    refused(await borrowed.renew(p256()), 401, "renewal.unknown_certificate")
    refused(await member.renew(p256(), serial="12345"), 401, "renewal.unknown_certificate")
    refused(await member.renew(p256(), challenge="9999999999." + "0" * 64), 401, "enrolment.bad_challenge")


async def test_a_retired_machine_renews_nothing(
    operator: httpx.AsyncClient, process: ProvisioningProcess, enrol: Enrol
) -> None:
    member = await enrol()
    await grow_older(process, LIFETIME * 0.7)
    await operator.post("/api/machines/node1/retire", json={"confirm": "node1", "wipe": False})
    refused(await member.renew(p256()), 403, "renewal.revoked")
    async with process.database.transaction() as session:
        # Even if somebody took the mark away: it is no member.
        await session.execute(update(Credential).values(revoked_at=None))
    refused(await member.renew(p256()), 403, "renewal.revoked")


async def test_two_renewals_at_once_give_one_pair(
    operator: httpx.AsyncClient, process: ProvisioningProcess, enrol: Enrol
) -> None:
    member = await enrol()
    await grow_older(process, LIFETIME * 0.7)
    answers = await asyncio.gather(*(member.renew(p256()) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len((await operator.get("/api/machines/node1/credentials")).json()) == 4


class OnceFull(ServerCertificate):
    """Its disk is full at one write; the next succeeds."""

    full = False

    def write(self, names: Sequence[str]) -> tuple[str, str]:
        if self.full:
            self.full = False
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(names)


async def test_our_own_certificate_is_changed_under_a_server_that_runs(tmp_path: Path) -> None:
    """A process that runs longer than its certificate lives goes on being trusted."""
    authority = TlsAuthority(KeyFolder(tmp_path / "keys"))
    own = OnceFull(authority, tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*own.write(["localhost"]))
    own.full = True
    trusting = ssl.create_default_context(cadata=authority.pem)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def serial() -> int:
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(shown).serial_number

    async with server:
        first = await serial()

        async def is_renewed() -> bool:
            return await serial() != first

        async with own.renewal(context, lambda: ["localhost"], every=timedelta(seconds=0.1)):
            await eventually(is_renewed)
        assert not own.full, "the write that failed came first"


def expiry(process: ProvisioningProcess) -> Expiry:
    services = process.services
    return Expiry(process.database, MachineJournal(services.events, services.audit), LIFETIME)
