"""A machine is its key: a neighbour who knows addresses and UUID reports, and a reboot brings another key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from conftest import NEIGHBOUR
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ramdisk import Ramdisk, public_hex
from sqlalchemy import select, update
from test_attacks import accept, refused
from test_renewal import expiry

from app.provisioning import ProvisioningProcess
from provisioning_api.enrolment import challenges
from provisioning_api.enrolment.models import UsedChallenge
from provisioning_api.machines.keys import CONFLICTS_PER_MACHINE
from soundstage.database import utcnow


async def machine_of(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> dict[str, Any]:
    found: dict[str, Any] = (await operator.get(f"/api/machines/{ramdisk.machine_id}")).json()
    return found


async def test_a_second_key_is_a_conflict_with_both_sources_and_replaces_nothing(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    (await ramdisk.discover()).raise_for_status()
    before = await machine_of(operator, ramdisk)
    for _ in range(3):
        refused(await neighbour.discover(), 409, "machine.key_conflict")
    after = await machine_of(operator, ramdisk)
    [other] = after.pop("conflicts")
    assert before.pop("conflicts") == [] and after == before
    assert (before["code"], before["code_source"]) == (ramdisk.code, "10.0.0.7") and before["code_since"]
    assert (other["code"], other["source"], other["same_source"]) == (neighbour.code, NEIGHBOUR, False)
    assert other["reports"] == 3 and other["since"] <= other["last_at"]
    # The acceptance that the operator means reaches the machine that the operator saw.
    await accept(operator, ramdisk)
    assert (await ramdisk.claim()).json()["token"]


async def test_a_neighbour_throws_no_accepted_machine_out(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    refused(await neighbour.discover(), 409, "machine.key_conflict")
    neighbour.machine_id = ramdisk.machine_id
    for verb in ("claim", "write", "report", "collect"):
        await neighbour.new_challenge()
        refused(await neighbour.call(verb), 401, "enrolment.bad_signature")
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()


async def test_a_yes_is_for_the_key_whose_code_was_seen(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    """Also where the neighbour was first: the code on the console is not the one in the list."""
    (await neighbour.discover()).raise_for_status()
    refused(await ramdisk.discover(), 409, "machine.key_conflict")
    path = f"/api/machines/{neighbour.machine_id}"
    refused(await operator.post(f"{path}/accept", json={"name": "node1"}), 422, "machine.code_missing")
    refused(await operator.post(f"{path}/accept", json={"code": ramdisk.code}), 409, "machine.code_changed")
    refused(await operator.post(f"{path}/accept", json={"code": "2c91"}), 422, "request.invalid")
    assert (await machine_of(operator, neighbour))["state"] == "discovered"
    refused(await operator.post(f"{path}/key", json={"code": "0000-0000-0000"}), 404, "machine.code_unknown")
    chosen = (await operator.post(f"{path}/key", json={"code": ramdisk.code.upper()})).json()
    assert (chosen["code"], chosen["conflicts"]) == (ramdisk.code, [])
    (await ramdisk.discover()).raise_for_status()
    assert (await machine_of(operator, ramdisk))["hardware"]["serial"] == ""
    (await operator.post(f"{path}/accept", json={"code": ramdisk.code})).raise_for_status()
    refused(await neighbour.discover(), 409, "machine.key_conflict")
    assert (await ramdisk.claim()).json()["token"]
    records = (await operator.get("/api/audit", params={"limit": 1000})).json()
    [decided] = [one["data"] for one in records if one["action"] == "machine.key_chosen"]
    assert decided["before"] == neighbour.code and decided["refused"] == [neighbour.code]


async def test_a_reboot_while_it_waits_is_shown_and_ended_by_one_act(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    first = ramdisk.code
    ramdisk.key = Ed25519PrivateKey.generate()
    refused(await ramdisk.discover(), 409, "machine.key_conflict")
    machine = await machine_of(operator, ramdisk)
    [other] = machine["conflicts"]
    assert (machine["code"], other["code"], other["same_source"]) == (first, ramdisk.code, True)
    (await operator.post("/api/machines/node1/key", json={"code": ramdisk.code})).raise_for_status()
    (await ramdisk.discover()).raise_for_status()
    # What was armed for the key before is armed for this one.
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()


async def test_a_power_cut_in_the_middle_of_a_write_needs_the_new_code_and_a_new_yes(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    await ramdisk.token()
    (await ramdisk.call("write")).raise_for_status()
    ramdisk.key = Ed25519PrivateKey.generate()
    for one in (ramdisk, neighbour):
        refused(await one.discover(), 409, "machine.key_conflict")
    machine = await machine_of(operator, ramdisk)
    assert machine["state"] == "deploying"
    assert {one["source"]: one["code"] for one in machine["conflicts"]} == {
        "10.0.0.7": ramdisk.code,
        NEIGHBOUR: neighbour.code,
    }
    (await operator.post("/api/machines/node1/key", json={"code": ramdisk.code})).raise_for_status()
    (await ramdisk.discover()).raise_for_status()
    # The yes to the write was used up; what comes next is what the disk can give.
    assert (await ramdisk.claim()).json()["next"] == "enrol"
    half = {"failure": {"code": "half_written", "message": "no disk has a partition root-a"}}
    assert (await ramdisk.call("report", half)).json()["state"] == "failed"
    again = await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})
    assert again.json()["may_be_written"]


async def test_ever_new_keys_of_a_neighbour_push_out_no_machine(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    ramdisk.key = Ed25519PrivateKey.generate()
    refused(await ramdisk.discover(), 409, "machine.key_conflict")
    for _ in range(CONFLICTS_PER_MACHINE + 4):
        neighbour.key = Ed25519PrivateKey.generate()
        refused(await neighbour.discover(), 409, "machine.key_conflict")
    machine = await machine_of(operator, ramdisk)
    assert len(machine["conflicts"]) == CONFLICTS_PER_MACHINE
    assert ramdisk.code in {one["code"] for one in machine["conflicts"]}


async def test_choosing_the_key_that_counts_already_dismisses_the_others(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, neighbour: Ramdisk
) -> None:
    await accept(operator, ramdisk)
    await neighbour.discover()
    await operator.post("/api/machines/node1/key", json={"code": ramdisk.code})
    assert (await machine_of(operator, ramdisk))["conflicts"] == []
    assert (await ramdisk.claim()).json()["token"], "what was armed stays armed"


# --- signatures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["payload", "agent_key", "challenge", "signature"])
async def test_a_report_with_a_forged_part_is_refused_and_keeps_nothing(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, part: str
) -> None:
    call, other = await ramdisk.signed_report(), await Ramdisk(ramdisk.client).signed_report()
    answer = await ramdisk.client.post("/api/agent/discover", json={**call, part: other[part]})
    code = "enrolment.bad_challenge" if part in ("agent_key", "challenge") else "enrolment.bad_signature"
    refused(answer, 401, code)
    assert (await operator.get("/api/machines")).json() == []


async def test_an_unsigned_report_is_refused(ramdisk: Ramdisk) -> None:
    report = {**ramdisk.identity, "agent_key": public_hex(ramdisk.key)}
    refused(await ramdisk.client.post("/api/agent/discover", json=report), 422, "request.invalid")


async def test_a_replayed_call_is_refused(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    call = await ramdisk.signed_report()
    first = await ramdisk.client.post("/api/agent/discover", json=call)
    ramdisk.machine_id, ramdisk.challenge = first.json()["machine_id"], first.json()["challenge"]
    refused(await ramdisk.client.post("/api/agent/discover", json=call), 401, "enrolment.challenge_used")
    claim = ramdisk.signed("claim")
    (await ramdisk.client.post("/api/agent/claim", json=claim)).raise_for_status()
    # The answer was lost, or somebody sends it again after the yes: either way it is heard once.
    accepted = {"name": "node1", "code": ramdisk.code}
    (await operator.post(f"/api/machines/{ramdisk.machine_id}/accept", json=accepted)).raise_for_status()
    refused(await ramdisk.client.post("/api/agent/claim", json=claim), 401, "enrolment.challenge_used")


@pytest.mark.parametrize("off", [timedelta(days=-1), timedelta(days=1)])
async def test_a_clock_that_is_off_by_a_day_changes_nothing_and_a_challenge_of_yesterday_is_refused(
    ramdisk: Ramdisk, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    """Only our clock counts: what a ramdisk signs holds no time of its own."""
    now = challenges.time.time()
    call = await ramdisk.signed_report()
    monkeypatch.setattr(challenges.time, "time", lambda: now + off.total_seconds())
    answer = await ramdisk.client.post("/api/agent/discover", json=call)
    if off > timedelta():
        refused(answer, 401, "enrolment.challenge_expired")
    else:
        assert answer.is_success
    assert (await ramdisk.discover()).is_success, "with a challenge of now it is heard"


async def test_a_report_with_ten_thousand_disks_is_refused_with_the_field(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    ramdisk.hardware = {"disks": [{"name": f"sd{n}", "bytes": 1} for n in range(200)]}
    answer = await ramdisk.discover()
    refused(answer, 422, "machine.bad_report")
    assert "hardware.disks" in answer.json()["detail"]
    ramdisk.hardware = {"disks": [{"name": f"sd{n}", "bytes": 1} for n in range(10_000)]}
    refused(await ramdisk.discover(), 413, "http.body_too_large")
    assert (await operator.get("/api/machines")).json() == []


async def test_used_challenges_are_forgotten_when_they_have_ended(
    ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    async def used() -> int:
        async with process.database.session() as session:
            return len((await session.scalars(select(UsedChallenge))).all())

    await ramdisk.discover()
    await expiry(process).look()
    assert await used() == 1
    async with process.database.transaction() as session:
        await session.execute(update(UsedChallenge).values(ends_at=utcnow() - timedelta(seconds=1)))
    await expiry(process).look()
    assert await used() == 0
