"""What a machine proves itself by, when nobody stands beside it: its credential, and an announced secret."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from conftest import client_of
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from ramdisk import Ramdisk, random_mac
from sqlalchemy import update
from test_attacks import accept, refused

from app.provisioning import ProvisioningProcess
from provisioning_api.enrolment.challenges import check_signature, text_to_sign
from provisioning_api.rules.models import RuleRow
from provisioning_api.rules.schemas import ANNOUNCED

SECRET = "chassis-asset-tag-4711"
SSD = {"name": "sda", "bytes": 1000, "model": "Fast SSD", "serial": "S1"}
OTHER = {"name": "sdb", "bytes": 2000, "model": "Fast SSD", "serial": "S2"}


def wiped(*disks: dict[str, Any], **changed: Any) -> dict[str, Any]:
    done = {"method": "zeros", "samples": 64, "dirty": 0}
    return {"wiped": [{**disk, **done, **changed} for disk in disks]}


async def draining(operator: httpx.AsyncClient, ramdisk: Ramdisk, *disks: dict[str, Any]) -> None:
    """A member whose disks are to be wiped, in the ramdisk of its next network boot: another key."""
    ramdisk.hardware = {"disks": list(disks)}
    await accept(operator, ramdisk)
    await ramdisk.become_member()
    (await operator.post("/api/machines/node1/retire", json={"confirm": "node1"})).raise_for_status()
    ramdisk.key = Ed25519PrivateKey.generate()


async def state_of(operator: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await operator.get("/api/machines/node1")).json()
    return found


async def recorded(operator: httpx.AsyncClient, action: str) -> list[dict[str, Any]]:
    found = (await operator.get("/api/audit", params={"limit": 1000})).json()
    return [one["data"] for one in found if one["action"] == action]


# --- the end ------------------------------------------------------------------------------------------------


async def test_a_forged_report_wipes_no_draining_machine(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await draining(operator, ramdisk, SSD)
    neighbour.hardware = {"disks": [SSD]}
    refused(await neighbour.discover(), 409, "machine.key_conflict")
    neighbour.machine_id = ramdisk.machine_id
    await neighbour.new_challenge()
    refused(await neighbour.call("report", wiped(SSD)), 401, "enrolment.bad_signature")
    # Nor with a certificate of the machine that it has read somewhere, and a key of its own.
    assert ramdisk.member is not None
    neighbour.member = (ramdisk.member[0], ec.generate_private_key(ec.SECP256R1()))
    refused(await neighbour.discover(), 409, "machine.key_conflict")
    machine = await state_of(operator)
    assert machine["state"] == "draining" and [one["code"] for one in machine["conflicts"]] == [
        neighbour.code
    ]


async def test_the_ramdisk_that_wipes_proves_itself_by_the_credential_of_the_member_and_the_record_is_signed(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await draining(operator, ramdisk, SSD, OTHER)
    (await ramdisk.discover()).raise_for_status()
    [proved] = await recorded(operator, "machine.key_proved")
    assert proved["code"] == ramdisk.code and (await state_of(operator))["conflicts"] == []
    assert (await ramdisk.claim()).json()["next"] == "wipe"
    # The kernel calls them otherwise today: a disk is its model and serial number.
    report = wiped({**SSD, "name": "sdb"}, {**OTHER, "name": "sda"})
    assert (await ramdisk.call("report", report)).json()["state"] == "retired"
    [record] = await recorded(operator, "machine.retired")
    assert {(disk["model"], disk["serial"], disk["bytes"]) for disk in record["disks"]} == {
        ("Fast SSD", "S1", 1000),
        ("Fast SSD", "S2", 2000),
    }
    assert all((disk["method"], disk["samples"]) == ("zeros", 64) for disk in record["disks"])
    signed = record["signed"]
    text = text_to_sign("report", signed["machine_id"], signed["challenge"], signed["payload"])
    check_signature(signed["agent_key"], text, signed["signature"])
    assert json.loads(signed["payload"]) == report


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (wiped(SSD), "sdb (Fast SSD, S2) was not wiped"),
        (wiped(SSD, {**OTHER, "serial": "S3"}), "sdb (Fast SSD, S2) was not wiped"),
        (wiped(SSD, {**OTHER, "model": "Slow SSD"}), "sdb (Fast SSD, S2) was not wiped"),
        (wiped(SSD, {**OTHER, "bytes": 10}), "only 10 of 2000 bytes"),
        (wiped(SSD, OTHER, samples=1), "only 1 places"),
        (wiped(SSD, OTHER, dirty=3), "3 of 64 places"),
        ({"wiped": []}, "was not wiped"),
    ],
)
async def test_a_wipe_that_proves_nothing_of_the_known_disks_is_unverified(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, report: dict[str, Any], why: str
) -> None:
    await draining(operator, ramdisk, SSD, OTHER)
    # A disk that was taken out before the wipe is owed all the same.
    ramdisk.hardware = {"disks": [SSD]}
    (await ramdisk.discover()).raise_for_status()
    assert (await ramdisk.call("report", report)).json()["state"] == "wipe_unverified"
    machine = await state_of(operator)
    assert why in machine["cause"] and "soundstage machines retire node1" in machine["hint"]
    [record] = await recorded(operator, "machine.wipe_unverified")
    assert record["signed"]["signature"] and why in record["why"]
    assert (await ramdisk.claim()).json()["next"] == "boot"
    # A person repeats it, or says what became of the disks.
    body = {"confirm": "node1", "wipe": False, "reason": "shredded"}
    assert (await operator.post("/api/machines/node1/retire", json=body)).json()["state"] == "retired"


async def test_without_its_credential_a_person_says_which_ramdisk_may_wipe(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    """Its disk is broken: nothing can be read there."""
    await draining(operator, ramdisk, SSD)
    ramdisk.member = None
    refused(await ramdisk.discover(), 409, "machine.key_conflict")
    (await operator.post("/api/machines/node1/key", json={"code": ramdisk.code})).raise_for_status()
    (await ramdisk.discover()).raise_for_status()
    assert (await ramdisk.claim()).json()["next"] == "wipe"


async def test_a_member_that_is_to_be_written_anew_proves_itself_and_no_neighbour_is_faster(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    await ramdisk.become_member()
    (await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})).raise_for_status()
    refused(await neighbour.discover(), 409, "machine.key_conflict")
    ramdisk.key = Ed25519PrivateKey.generate()
    (await ramdisk.discover()).raise_for_status()
    claimed = (await ramdisk.claim()).json()
    assert (claimed["next"], bool(claimed["token"])) == ("write", True)


async def test_the_credential_of_an_enrolment_that_is_over_proves_nothing(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    """A copy of an old disk: the machine was enrolled anew since then."""
    await accept(operator, ramdisk)
    await ramdisk.become_member()
    (await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})).raise_for_status()
    (await ramdisk.discover()).raise_for_status()
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    ramdisk.key = Ed25519PrivateKey.generate()
    refused(await ramdisk.discover(), 409, "machine.key_conflict")


# --- automatic acceptance -----------------------------------------------------------------------------------


async def expect_it(operator: httpx.AsyncClient, serial: str = "SN1", secret: str = SECRET) -> None:
    answer = await operator.post("/api/announcements", json={"serial": serial, "secret": secret})
    assert secret not in answer.raise_for_status().text
    (await operator.patch(f"/api/rules/{ANNOUNCED}", json={"enabled": True})).raise_for_status()


async def test_an_announced_machine_is_accepted_by_its_secret_and_a_neighbour_with_its_serial_is_not(
    app: FastAPI, operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await expect_it(operator)
    async with client_of(app, "https://provisioning.example", "10.0.0.66") as client:
        for secret in ("", "a-guess-of-sixteen-letters"):
            guess = Ramdisk(client, hardware={"serial": "SN1"}, secret=secret)
            assert (await guess.discover()).json()["state"] == "discovered"
    ramdisk.hardware, ramdisk.secret = {"serial": "SN1"}, SECRET
    assert (await ramdisk.discover()).json()["state"] == "accepted"
    assert (await ramdisk.claim()).json()["token"]
    [decided] = await recorded(operator, "machine.accepted")
    assert decided["name"] == ramdisk.name
    listed = (await operator.get("/api/announcements")).json()
    assert [one["machine_id"] for one in listed] == [ramdisk.machine_id] and SECRET not in str(listed)
    # Its reboot needs nobody: it proves the secret again. Nobody else may, even with the secret.
    ramdisk.key = Ed25519PrivateKey.generate()
    assert (await ramdisk.discover()).json()["state"] == "accepted"
    assert (await ramdisk.claim()).json()["token"]
    second = Ramdisk(ramdisk.client, hardware={"serial": "SN1"}, secret=SECRET)
    assert (await second.discover()).json()["state"] == "discovered"


@pytest.mark.parametrize("off", ["rule", "announcement"])
async def test_a_proof_alone_accepts_nobody(operator: httpx.AsyncClient, ramdisk: Ramdisk, off: str) -> None:
    await expect_it(operator)
    if off == "rule":
        await operator.patch(f"/api/rules/{ANNOUNCED}", json={"enabled": False})
    else:
        (await operator.delete("/api/announcements/SN1")).raise_for_status()
    ramdisk.hardware, ramdisk.secret = {"serial": "SN1"}, SECRET
    assert (await ramdisk.discover()).json()["state"] == "discovered"


@pytest.mark.parametrize(
    "changes", [{"secret": "short"}, {"serial": "To be filled by O.E.M."}, {"serial": ""}]
)
async def test_an_announcement_that_neighbours_can_guess_is_refused(
    operator: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    answer = await operator.post("/api/announcements", json={"serial": "SN1", "secret": SECRET, **changes})
    refused(answer, 422, "request.invalid")
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "when",
    [
        {"macs": ["52:54:00:00:00:01"]},
        {"mac": "52:54:00:00:00:01"},
        {"uuid": "4c4c4544-0042-3510-8051-b4c04f333333"},
        {"networks": ["10.0.0.0/24"]},
        {"networks": ["10.0.0.0/24"], "vendor": "Maker", "memory_mib_at_least": 1},
        {},
    ],
)
async def test_a_rule_that_accepts_by_what_neighbours_can_read_is_refused_with_the_reason(
    operator: httpx.AsyncClient, when: dict[str, Any]
) -> None:
    rule = {"name": "here", "when": when, "then": {"accept": True}}
    answer = await operator.post("/api/rules", json=rule)
    refused(answer, 422, "request.invalid")
    assert "neighbour" in answer.text and "when.announced" in answer.text


async def test_a_rule_of_older_terms_is_off_and_says_why(
    operator: httpx.AsyncClient, process: ProvisioningProcess, ramdisk: Ramdisk
) -> None:
    old = {"networks": ["10.0.0.0/8"]}
    async with process.database.transaction() as session:
        named = RuleRow.name == "any-machine-on-this-network"
        await session.execute(update(RuleRow).where(named).values(enabled=True, when=old, changed_by="ada"))
    assert (await ramdisk.discover()).json()["state"] == "discovered"
    rules = {one["name"]: one for one in (await operator.get("/api/rules")).json()}
    assert rules["any-machine-on-this-network"]["enabled"] is False
    assert "a neighbour has them too" in rules["any-machine-on-this-network"]["refused"]
    path = "/api/rules/any-machine-on-this-network"
    refused(await operator.patch(path, json={"enabled": True}), 422, "rule.invalid")
    change = {"when": {**old, "calls_home": True}, "enabled": True}
    (await operator.patch(path, json=change)).raise_for_status()
    # That one is for installed machines with a key of ours: a ramdisk is still not accepted by it.
    assert (await Ramdisk(ramdisk.client, macs=[random_mac()]).discover()).json()["state"] == "discovered"
