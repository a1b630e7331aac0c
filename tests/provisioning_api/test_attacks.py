"""What somebody on the machines' network may try; docs/attacks.md has a line for each, and names its test."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of, todo_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from ramdisk import Ramdisk, random_mac
from sqlalchemy import text

from app.provisioning import ProvisioningProcess

Make = Callable[..., Awaitable[dict[str, Any]]]


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def accept(operator: httpx.AsyncClient, ramdisk: Ramdisk, name: str = "node1") -> None:
    (await ramdisk.discover()).raise_for_status()
    answer = await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
    )
    answer.raise_for_status()


async def choose(operator: httpx.AsyncClient, ramdisk: Ramdisk, name: str = "node1") -> None:
    """A person has read the code on the console of the machine whose ramdisk has another key."""
    refused(await ramdisk.discover(), 409, "machine.key_conflict")
    answer = await operator.post(f"/api/machines/{name}/key", json={"code": ramdisk.code})
    assert answer.raise_for_status().json()["code"] == ramdisk.code
    (await ramdisk.discover()).raise_for_status()


# --- who speaks ---------------------------------------------------------------------------------------------


async def test_a_guessed_token_is_nobodys(ramdisk: Ramdisk) -> None:
    refused(await ramdisk.enrol("x" * 43), 401, "enrolment.bad_token")


async def test_a_forged_mac_with_another_uuid_is_a_conflict_and_changes_nothing(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    before = (await operator.get("/api/machines/node1")).json()
    forger = Ramdisk(ramdisk.client, macs=ramdisk.macs)
    refused(await forger.discover(), 409, "machine.identity_conflict")
    assert (await operator.get("/api/machines/node1")).json() == before


@pytest.mark.parametrize(
    ("uuid", "serial", "new_serial", "known"),
    [
        (None, "", "", False),
        (None, "To be filled by O.E.M.", "To be filled by O.E.M.", False),
        (None, "A1", "B2", False),
        (None, "A1", "A1", True),
        ("4c4c4544-0042-3510-8051-b4c04f333333", "", "", False),
        ("4c4c4544-0042-3510-8051-b4c04f333333", "A1", "A1", True),
    ],
)
async def test_a_card_that_has_moved_wipes_and_writes_no_other_machine(
    operator: httpx.AsyncClient,
    ramdisk: Ramdisk,
    uuid: str | None,
    serial: str,
    new_serial: str,
    known: bool,
) -> None:
    ramdisk.uuid, ramdisk.hardware = uuid, {"serial": serial}
    await accept(operator, ramdisk)
    (await ramdisk.discover()).raise_for_status()
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    (await operator.post("/api/machines/node1/retire", json={"confirm": "node1"})).raise_for_status()
    other = Ramdisk(ramdisk.client, macs=ramdisk.macs, uuid=None, hardware={"serial": new_serial})
    answer = await other.discover()
    if known:
        await choose(operator, other)
        assert (await other.claim()).json()["next"] == "wipe"
    else:
        refused(answer, 409, "machine.identity_conflict")
        assert (await operator.get("/api/machines/node1")).json()["hardware"]["serial"] == serial


@pytest.mark.parametrize(("claimed", "named"), [("10.0.0.7", True), ("10.0.0.11", False), (None, False)])
async def test_a_certificate_names_no_address_that_a_machine_only_claims(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, claimed: str | None, named: bool
) -> None:
    ramdisk.address = claimed
    await accept(operator, ramdisk)
    got = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    certificate = x509.load_pem_x509_certificate(got["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", *(["10.0.0.7"] if named else [])}


SSD, OTHER_SSD = (
    {"name": name, "bytes": 256 << 30, "model": "Fast SSD", "serial": serial}
    for name, serial in (("sda", "S1"), ("sdb", "S2"))
)


@pytest.mark.parametrize(
    ("disks", "found", "known"),
    [
        ([SSD, OTHER_SSD], [OTHER_SSD, SSD], True),
        ([SSD], [SSD, OTHER_SSD], False),
        ([SSD], [{**SSD, "model": "Another"}], False),
        ([{**SSD, "serial": ""}], [{**SSD, "serial": ""}], False),
        ([SSD, {**SSD, "name": "sdb"}], [SSD, {**SSD, "name": "sdb"}], False),
        ([], [], False),
    ],
)
async def test_a_board_without_a_name_is_known_by_its_very_disks_and_may_be_written_again(
    operator: httpx.AsyncClient,
    ramdisk: Ramdisk,
    disks: list[dict[str, Any]],
    found: list[dict[str, Any]],
    known: bool,
) -> None:
    ramdisk.uuid, ramdisk.hardware = None, {"disks": disks}
    await accept(operator, ramdisk)
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    (await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})).raise_for_status()
    anew = Ramdisk(ramdisk.client, macs=ramdisk.macs, uuid=None, hardware={"disks": found})
    answer = await anew.discover()
    if known:
        await choose(operator, anew)
        claimed = (await anew.claim()).raise_for_status().json()
        assert (claimed["next"], bool(claimed["token"])) == ("write", True)
    else:
        refused(answer, 409, "machine.identity_conflict")


async def test_the_addresses_of_two_machines_in_one_report_are_refused(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    other = Ramdisk(ramdisk.client)
    await ramdisk.discover()
    await other.discover()
    both = Ramdisk(ramdisk.client, macs=[*ramdisk.macs, *other.macs], uuid=None)
    refused(await both.discover(), 409, "machine.macs_of_several")


async def test_two_machines_with_one_uuid_wait_for_an_operator(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.discover()
    twin = Ramdisk(ramdisk.client, uuid=ramdisk.uuid)
    await twin.discover()
    assert twin.machine_id != ramdisk.machine_id
    answer = await operator.post(f"/api/machines/{twin.name}/accept", json={"code": twin.code})
    refused(answer, 409, "machine.uuid_shared")


async def test_a_member_that_reports_other_cards_keeps_those_it_was_accepted_with(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    known, ramdisk.macs = list(ramdisk.macs), [*ramdisk.macs, random_mac()]
    await ramdisk.discover()
    machine = (await operator.get("/api/machines/node1")).json()
    assert (machine["macs"], machine["seen_macs"]) == (known, sorted(ramdisk.macs))


async def test_a_forged_signature_is_refused(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accept(operator, ramdisk)
    ramdisk.key = Ed25519PrivateKey.generate()
    refused(await ramdisk.claim(), 401, "enrolment.bad_signature")


async def test_a_signature_for_one_call_is_none_for_another(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    answer = await ramdisk.client.post("/api/agent/write", json=ramdisk.signed("claim"))
    refused(answer, 401, "enrolment.bad_signature")


async def test_a_challenge_of_another_machine_or_of_ones_own_making_is_refused(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    other = Ramdisk(ramdisk.client)
    await other.discover()
    for challenge in (other.challenge, "9999999999." + "0" * 64, "", "1." + "0" * 64):
        ramdisk.challenge = challenge
        refused(await ramdisk.claim(), 401, "enrolment.bad_challenge")


async def test_a_payload_that_was_changed_on_the_way_is_refused(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    call = ramdisk.signed("report", {"spans": []})
    call["payload"] = json.dumps({"failure": {"code": "no_disk", "message": "none"}})
    refused(await ramdisk.client.post("/api/agent/report", json=call), 401, "enrolment.bad_signature")


async def test_a_machines_token_opens_nothing_but_its_own_call(
    app: FastAPI, operator: httpx.AsyncClient, make_member: Make
) -> None:
    token = (await make_member("node1"))["call_home_token"]
    async with client_of(app, "https://provisioning.example", "10.0.0.7") as client:
        client.headers["Authorization"] = f"Bearer {token}"
        for path in ("/api/machines", "/api/runs", "/api/inventory", "/api/audit"):
            refused(await client.get(path), 401, "auth.bad_key")
        other = {"hostname": "node2", "ip": "10.0.0.7"}
        refused(await client.post("/api/ready-for-provisioning", json=other), 403, "callhome.other_name")


async def test_a_call_home_without_a_token_is_refused(machine_client: httpx.AsyncClient) -> None:
    answer = await machine_client.post(
        "/api/ready-for-provisioning", json={"hostname": "n", "ip": "10.0.0.7"}
    )
    refused(answer, 401, "auth.required")


async def test_a_page_of_somebody_else_cannot_use_an_operators_browser(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    key = operator.headers["Authorization"].removeprefix("Bearer ")
    async with client_of(app, "http://localhost", "127.0.0.1") as client:
        (await client.post("/api/login", json={"key": key})).raise_for_status()
        assert (await client.get("/api/machines")).status_code == 200
        answer = await client.post(
            "/api/runs", json={"machines": ["a"]}, headers={"Origin": "http://evil.example"}
        )
        refused(answer, 403, "auth.foreign_page")


async def test_being_on_this_machine_is_no_key(app: FastAPI) -> None:
    for url in ("http://localhost", "http://127.0.0.1:8001", "http://evil.example"):
        async with client_of(app, url, "127.0.0.1") as client:
            refused(await client.get("/api/machines"), 401, "auth.required")
            refused(await client.post("/api/runs", json={"machines": ["a"]}), 401, "auth.required")


# --- keys ---------------------------------------------------------------------------------------------------


async def test_weak_and_borrowed_keys_are_refused(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accept(operator, ramdisk)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    line = weak.public_key().public_bytes(*form).decode()
    refused(await ramdisk.enrol(await ramdisk.token(), host_key=line), 422, "enrolment.bad_host_key")
    for key in ("ssh-ed25519 AAAA", 'command="reboot" ssh-ed25519 AAAA', "\n"):
        refused(await ramdisk.enrol(await ramdisk.token(), host_key=key), 422, "enrolment.bad_host_key")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server.global.nomad")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(weak, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    refused(await ramdisk.enrol(await ramdisk.token(), csr=pem), 422, "enrolment.bad_csr")
    refused(await ramdisk.enrol(await ramdisk.token(), csr="nonsense"), 422, "enrolment.bad_csr")


async def test_private_keys_are_readable_by_their_owner_only(
    process: ProvisioningProcess, app: FastAPI, settings: Any
) -> None:
    folder = settings.state_dir / "provisioning" / "keys"
    assert process.services.tls.pem and process.services.ssh.host_ca_public_key
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


async def test_an_audit_record_that_was_changed_is_found(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await accept(operator, ramdisk)
    assert (await operator.get("/api/audit/verdict")).json()["broken_at"] is None
    async with process.database.transaction() as session:
        await session.execute(text("UPDATE audit_records SET actor = 'nobody' WHERE number = 2"))
    assert (await operator.get("/api/audit/verdict")).json()["broken_at"] == 2


# --- what is over, and what may be done ---------------------------------------------------------------------


async def test_what_a_retired_machine_held_is_revoked_everywhere(
    app: FastAPI, operator: httpx.AsyncClient, make_member: Make
) -> None:
    got = await make_member("node1")
    await operator.post("/api/machines/node1/retire", json={"confirm": "node1", "wipe": False})
    assert (await operator.get("/api/machines/node1")).json()["state"] == "retired"
    crl = x509.load_pem_x509_crl((await operator.get("/api/ca.crl")).content)
    serial = x509.load_pem_x509_certificate(got["certificate"].encode()).serial_number
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    known = (await operator.get("/api/ssh/known_hosts")).text
    assert "@cert-authority * " in known and "@revoked * ssh-ed25519 " in known
    async with client_of(app, "https://provisioning.example", "10.0.0.7") as client:
        client.headers["Authorization"] = f"Bearer {got['call_home_token']}"
        call = await client.post("/api/ready-for-provisioning", json={"hostname": "node1", "ip": "10.0.0.7"})
        refused(call, 401, "auth.bad_key")


async def test_a_command_that_is_not_on_the_list_is_refused_and_recorded(
    operator: httpx.AsyncClient, make_member: Make
) -> None:
    await make_member("node1")
    for argv in (
        ["reboot"], ["uptime", "-p"], ["systemctl", "restart", "nomad"], ["sh", "-c", "uptime"],
        ["systemctl", "status", "--no-pager", "$(reboot)"], ["systemctl", "status", "--no-pager", "--help"],
        ["systemctl", "status", "--no-pager", "a\nb"], ["ping", "-c", "3", "-w", "10", "-f"],
    ):  # fmt: skip
        answer = await operator.post("/api/machines/node1/commands", json={"argv": argv})
        refused(answer, 403, "command.not_allowed")
    records = (await operator.get("/api/audit", params={"limit": 1000})).json()
    assert sum(one["action"] == "command.refused" for one in records) == 8


async def test_what_a_failing_task_says_cannot_forge_the_list_of_what_to_do(
    make_member: Make, run_of: Make, project: Path, settings: Any
) -> None:
    evil = "x`\n- [x] all is well [click](http://evil) <script>"
    (project / "playbook.yaml").write_text(
        "- hosts: all\n  gather_facts: false\n  connection: local\n  tasks:\n"
        f"    - ansible.builtin.fail: {{msg: {json.dumps(evil)}}}\n"
    )
    await make_member("node1")
    await run_of("node1")
    todo = await todo_of(settings)
    assert [line[:5] for line in todo.splitlines()[4:]] == ["- [ ]"] and "<script>" not in todo
