"""One token, once, for the machine that it was armed for; everything else is refused and recorded."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest
from conftest import client_of
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from fastapi import FastAPI
from ramdisk import Ramdisk, new_csr, new_host_key, random_mac
from sqlalchemy import select

from app.provisioning import ProvisioningProcess
from provisioning_api.enrolment.models import Enrolment
from soundstage.database import utcnow


async def accepted(operator: httpx.AsyncClient, ramdisk: Ramdisk, name: str = "node1") -> None:
    (await ramdisk.discover()).raise_for_status()
    answer = await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
    )
    answer.raise_for_status()
    ramdisk.name = name


async def refusals(operator: httpx.AsyncClient) -> list[str]:
    records = (await operator.get("/api/audit", params={"limit": 1000})).json()
    return [one["data"]["code"] for one in records if one["action"] == "enrolment.refused"]


async def test_the_certificates_are_for_the_keys_of_the_machine_and_for_its_name(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await accepted(operator, ramdisk)
    got = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    host = serialization.load_ssh_public_identity(got["host_certificate"].encode())
    assert isinstance(host, serialization.SSHCertificate)
    assert (host.type, host.valid_principals) == (serialization.SSHCertificateType.HOST, [b"node1"])
    host.verify_cert_signature()
    certificate = x509.load_pem_x509_certificate(got["certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(got["ca"].encode()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"node1", "client.global.nomad", "client.dc1.consul"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    assert not any(name.startswith("server.") for name in names.get_values_for_type(x509.DNSName))
    held = (await operator.get("/api/machines/node1/credentials")).json()
    assert sorted(one["kind"] for one in held) == ["ssh_host", "x509"]


async def test_a_token_is_stored_as_a_hash_only(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    async with process.database.session() as session:
        rows = [row.__dict__ for row in await session.scalars(select(Enrolment))]
    assert token not in repr(rows)
    assert token not in (await operator.get("/api/audit", params={"limit": 1000})).text


async def test_the_second_use_is_refused_and_recorded(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    (await ramdisk.enrol(token)).raise_for_status()
    again = await ramdisk.enrol(token, host_key=new_host_key(), csr=new_csr())
    assert (again.status_code, again.json()["code"]) == (409, "enrolment.token_used")
    assert await refusals(operator) == ["enrolment.token_used"]
    assert len((await operator.get("/api/machines/node1/credentials")).json()) == 2


async def test_a_token_of_another_machine_is_refused_and_dies(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    thief = Ramdisk(ramdisk.client)
    stolen = await thief.enrol(token)
    assert (stolen.status_code, stolen.json()["code"]) == (403, "enrolment.wrong_machine")
    own = await ramdisk.enrol(token)
    assert own.json()["code"] == "enrolment.revoked"
    assert await refusals(operator) == ["enrolment.wrong_machine", "enrolment.revoked"]


@pytest.mark.parametrize("changed", [{"uuid": None}, {"macs": [random_mac()]}])
async def test_the_binding_holds_to_addresses_and_to_the_uuid(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, changed: dict[str, object]
) -> None:
    await accepted(operator, ramdisk)
    answer = await ramdisk.enrol(await ramdisk.token(), **changed)
    assert answer.json()["code"] == "enrolment.wrong_machine"


async def test_a_token_that_is_too_old_is_refused(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    async with process.database.transaction() as session:
        row = await session.get(Enrolment, (await _enrolments(operator))[0]["id"])
        assert row is not None
        row.expires_at = utcnow() - timedelta(seconds=1)
    answer = await ramdisk.enrol(token)
    assert (answer.status_code, answer.json()["code"]) == (403, "enrolment.expired")
    assert await refusals(operator) == ["enrolment.expired"]


async def test_a_window_is_never_open_for_longer_than_fifteen_minutes(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    assert 800 < (await _open_for(operator)) <= 900


async def test_a_write_that_takes_hours_ends_in_its_own_window(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    for _ in range(2):
        await ramdisk.call("write")
    assert 5 * 3600 < (await _open_for(operator)) <= 6 * 3600
    (await ramdisk.enrol(token)).raise_for_status()


async def test_a_claim_whose_answer_was_lost_is_made_again_and_only_the_last_token_counts(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    first, second = await ramdisk.token(), await ramdisk.token()
    assert (await ramdisk.enrol(first)).json()["code"] == "enrolment.bad_token"
    assert (await ramdisk.enrol(second)).is_success


async def test_an_exchange_whose_answer_was_lost_is_collected_and_nothing_new_is_signed(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    too_early = await ramdisk.call("collect")
    assert too_early.json()["code"] == "enrolment.nothing_to_collect"
    first = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    again = (await ramdisk.call("collect")).json()
    for same in ("host_certificate", "certificate", "name"):
        assert again[same] == first[same]
    assert len((await operator.get("/api/machines/node1/credentials")).json()) == 2
    pretender = Ramdisk(ramdisk.client, macs=ramdisk.macs, uuid=ramdisk.uuid, machine_id=ramdisk.machine_id)
    await pretender.discover()
    await pretender.new_challenge()
    assert (await pretender.call("collect")).json()["code"] == "enrolment.bad_signature"


async def test_the_claim_of_another_ramdisk_is_refused(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accepted(operator, ramdisk)
    pretender = Ramdisk(ramdisk.client, macs=ramdisk.macs, uuid=ramdisk.uuid, machine_id=ramdisk.machine_id)
    assert (await pretender.discover()).json()["code"] == "machine.key_conflict"
    await pretender.new_challenge()
    claim = await pretender.claim()
    assert (claim.status_code, claim.json()["code"]) == (401, "enrolment.bad_signature")
    # Nothing has changed for the one that was accepted.
    assert (await ramdisk.claim()).json()["token"]


async def test_a_host_key_of_another_machine_is_refused(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    copy = Ramdisk(ramdisk.client, host_key=ramdisk.host_key)
    await accepted(operator, copy, "node2")
    answer = await copy.enrol(await copy.token())
    assert (answer.status_code, answer.json()["code"]) == (409, "enrolment.host_key_known")


async def test_an_operator_may_carry_the_token_to_an_installed_machine(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    armed = await operator.post("/api/machines/node1/enrolments", json={"deliver": "operator"})
    assert (await ramdisk.enrol(armed.json()["token"])).is_success


async def test_a_disarmed_token_is_worthless(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accepted(operator, ramdisk)
    token = await ramdisk.token()
    (await operator.delete("/api/machines/node1/enrolments")).raise_for_status()
    assert (await ramdisk.enrol(token)).json()["code"] == "enrolment.revoked"


async def test_a_machine_that_was_not_accepted_cannot_be_armed(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.discover()
    answer = await operator.post(f"/api/machines/{ramdisk.name}/enrolments", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "enrolment.not_accepted")


async def test_nothing_of_this_is_answered_without_tls(app: FastAPI, ramdisk: Ramdisk) -> None:
    async with client_of(app, "http://provisioning.example", "10.0.0.7") as plain:
        for call in ("challenge", "discover", "claim", "report", "enrol"):
            answer = await plain.post(f"/api/agent/{call}", json=ramdisk.signed("claim"))
            assert (answer.status_code, answer.json()["code"]) == (403, "enrolment.needs_tls")


async def _enrolments(operator: httpx.AsyncClient) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await operator.get("/api/machines/node1/enrolments")).json()
    return found


async def _open_for(operator: httpx.AsyncClient) -> float:
    return (datetime.fromisoformat((await _enrolments(operator))[0]["expires_at"]) - utcnow()).total_seconds()
