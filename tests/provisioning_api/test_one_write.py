"""A disk is written once per acceptance: also for many who ask at once, and through every crash."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import product
from pathlib import Path

import httpx
import pytest
from conftest import client_of, operator_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from ramdisk import Ramdisk
from sqlalchemy import update

from app.provisioning import ProvisioningProcess, build_process
from provisioning_api.boot.scripts import BootKind, boot_kind
from provisioning_api.machines.models import Machine
from provisioning_api.machines.states import GuardFacts, MachineState, move
from soundstage.errors import Conflict
from soundstage.settings import Settings

pytestmark = pytest.mark.each_database


async def accepted(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    (await ramdisk.discover()).raise_for_status()
    answer = await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "node1", "code": ramdisk.code}
    )
    answer.raise_for_status()


async def write(ramdisk: Ramdisk) -> httpx.Response:
    return await ramdisk.call("write")


@pytest.mark.parametrize(("acceptance", "written"), [(0, 0), (1, 1), (3, 3), (2, 5)])
def test_the_counter_alone_stops_a_second_write(acceptance: int, written: int) -> None:
    used_up = GuardFacts(acceptance, written, has_host_key=True, has_address=True)
    assert not used_up.may_be_written
    with pytest.raises(Conflict, match="not been used for a write"):
        move(MachineState.ACCEPTED, MachineState.DEPLOYING, used_up)
    kinds = {
        boot_kind(state, used_up, wiping=wiping, has_ramdisk=True)
        for state, wiping in product([None, *MachineState], [True, False])
    }
    assert BootKind.DEPLOY not in kinds


def test_a_boot_script_deploys_in_one_state_only() -> None:
    allowed = GuardFacts(acceptance=2, written=1, has_host_key=True, has_address=True)
    deploying = [
        state
        for state in (None, *MachineState)
        if boot_kind(state, allowed, wiping=False, has_ramdisk=True) is BootKind.DEPLOY
    ]
    assert deploying == [MachineState.ACCEPTED]


async def test_a_machine_whose_state_was_put_back_is_not_written_again(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    """Whatever moves it back to accepted without a new yes: the counter still knows."""
    await accepted(operator, ramdisk)
    await ramdisk.token()
    (await write(ramdisk)).raise_for_status()
    async with process.database.transaction() as session:
        await session.execute(update(Machine).values(state=MachineState.ACCEPTED))
    assert (await ramdisk.claim()).json()["next"] == "enrol"
    refused = await write(ramdisk)
    assert (refused.status_code, refused.json()["code"]) == (409, "machine.not_yet")


@pytest.mark.parametrize("fresh", [True, False])
async def test_of_twenty_that_ask_at_once_one_may_write(
    settings: Settings, app: FastAPI, operator: httpx.AsyncClient, ramdisk: Ramdisk, fresh: bool
) -> None:
    """Also when they ask two processes that share a database."""
    await accepted(operator, ramdisk)
    await ramdisk.token()
    second = build_process(settings).app()
    async with (
        second.router.lifespan_context(second),
        client_of(second, "https://provisioning.example", "10.0.0.7") as other,
    ):
        calls = []
        for _ in range(10 if fresh else 1):
            await ramdisk.new_challenge()
            calls.append(ramdisk.signed("write"))
        calls = calls * 2 if fresh else calls * 20
        clients = [ramdisk.client] * 10 + [other] * 10
        request = [one.post("/api/agent/write", json=call) for one, call in zip(clients, calls, strict=True)]
        answers = await asyncio.gather(*request)
    codes = Counter(answer.json().get("code", "granted") for answer in answers)
    assert codes.pop("granted") == 1
    assert set(codes) <= {"machine.bad_transition", "enrolment.challenge_used"}
    assert ("machine.bad_transition" in codes) is fresh


async def test_a_yes_outlives_the_process_and_so_does_its_use(
    settings: Settings, database_engine: str, tmp_path: Path
) -> None:
    """Killed between the yes, the claim, the write and the exchange: each time the next process goes on."""
    ramdisk: Ramdisk | None = None
    token = ""
    for step in ("accept", "claim", "write", "again", "enrol"):
        created = build_process(settings).app()
        async with (
            created.router.lifespan_context(created),
            operator_of(created) as operator,
            client_of(created, "https://provisioning.example", "10.0.0.7") as machine,
        ):
            if ramdisk is None:
                ramdisk = Ramdisk(machine)
            ramdisk.client = machine
            match step:
                case "accept":
                    await accepted(operator, ramdisk)
                case "claim":
                    token = await ramdisk.token()
                case "write":
                    assert (await write(ramdisk)).is_success
                case "again":
                    assert (await write(ramdisk)).json()["code"] == "machine.bad_transition"
                case "enrol":
                    assert (await ramdisk.enrol(token)).is_success


async def test_a_machine_that_loses_power_again_and_again_is_written_once(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    """A boot loop: each time a new ramdisk, which reports, claims and asks."""
    await accepted(operator, ramdisk)
    granted = 0
    for _ in range(10):
        (await ramdisk.discover()).raise_for_status()
        await ramdisk.claim()
        granted += (await write(ramdisk)).is_success
        ramdisk.key = Ed25519PrivateKey.generate()
        assert (await ramdisk.discover()).json()["code"] == "machine.key_conflict"
        (await operator.post("/api/machines/node1/key", json={"code": ramdisk.code})).raise_for_status()
        await operator.post("/api/machines/node1/enrolments", json={"bind": "next"})
    assert granted == 1
    machine = (await operator.get("/api/machines/node1")).json()
    assert (machine["state"], machine["may_be_written"]) == ("deploying", False)


async def test_an_enrolment_without_a_write_uses_the_yes_up(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    machine = (await operator.get("/api/machines/node1")).json()
    assert (machine["state"], machine["may_be_written"]) == ("enrolled", False)
