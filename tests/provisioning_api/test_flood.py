"""Floods of invented machines, reports and guesses: what one address may do, and that others get through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from conftest import client_of, operator_of
from fastapi import FastAPI
from ramdisk import Ramdisk, random_mac
from sqlalchemy import func, select, update

from app.provisioning import ProvisioningProcess, build_process
from provisioning_api.audit.refusals import MANY, MAX_OPEN, RefusalLog
from provisioning_api.machines.models import HardwareReport, Machine
from soundstage.database import utcnow
from soundstage.settings import Settings

DISKS = [{"name": f"sd{n}", "bytes": 1 << 40, "model": "x" * 100, "serial": f"{n:020}"} for n in range(100)]


@asynccontextmanager
async def machine_at(app: FastAPI, source: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, "https://provisioning.example", source) as client:
        yield client


async def audit_of(operator: httpx.AsyncClient, action: str) -> list[dict[str, Any]]:
    found = (await operator.get("/api/audit")).raise_for_status().json()
    return [record for record in found if record["action"] == action]


async def waiting(operator: httpx.AsyncClient) -> list[str]:
    found = (await operator.get("/api/machines", params={"state": "discovered"})).raise_for_status().json()
    return [machine["name"] for machine in found]


async def test_of_many_invented_machines_few_are_kept_and_a_real_one_gets_through(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    async with machine_at(app, "10.0.0.66") as attacker, machine_at(app, "10.0.0.7") as honest:
        answers = [await Ramdisk(attacker).discover() for _ in range(40)]
        assert (await Ramdisk(honest).discover()).status_code == 200
    refusals = [answer for answer in answers if answer.status_code == 429]
    assert len(await waiting(operator)) == len(answers) - len(refusals) + 1 == 9
    assert {answer.json()["code"] for answer in refusals} == {"machine.too_many_new"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refusals)
    assert len(await audit_of(operator, "machine.refused")) == 1


async def test_of_the_hardware_reports_of_one_machine_the_newest_are_kept(
    app: FastAPI, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    for number in range(14):
        ramdisk.hardware = {"disks": DISKS, "memory_mib": number}
        (await ramdisk.discover()).raise_for_status()
    async with process.database.session() as session:
        count = await session.scalar(select(func.count()).select_from(HardwareReport))
        newest = await session.scalar(select(HardwareReport).order_by(HardwareReport.id.desc()).limit(1))
    assert count == 10
    assert newest is not None and newest.hardware["memory_mib"] == 13


async def test_guessed_tokens_are_slowed_down_and_leave_one_record_with_their_number(
    app: FastAPI, operator: httpx.AsyncClient, process: ProvisioningProcess
) -> None:
    async with machine_at(app, "10.0.0.66") as attacker:
        guesses = [Ramdisk(attacker).enrol(f"{number:043}") for number in range(60)]
        answers = await asyncio.gather(*guesses)
    codes = [answer.json()["code"] for answer in answers]
    assert codes.count("enrolment.bad_token") == 20
    assert codes.count("request.too_many_failures") == 40
    await process.services.refusals.close()
    first, rest = await audit_of(operator, "enrolment.refused")
    assert (first["data"]["source"], rest["data"]["count"]) == ("10.0.0.66", 19)
    assert rest["data"]["first_at"] <= rest["data"]["last_at"]
    assert [one["data"].get("count") for one in await audit_of(operator, "request.refused")] == [None, 39]


async def test_a_guesser_stops_nobody_else_and_comes_again_when_told(
    app: FastAPI, operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    async with machine_at(app, "10.0.0.66") as attacker:
        for number in range(30):
            answer = await Ramdisk(attacker).enrol(f"{number:043}")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert (await attacker.post("/api/agent/claim", json={})).status_code == 429
    (await ramdisk.discover()).raise_for_status()
    (
        await operator.post(
            f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "node1", "code": ramdisk.code}
        )
    ).raise_for_status()
    assert (await ramdisk.enrol(await ramdisk.token())).status_code == 200


async def test_boot_scripts_are_limited_by_source(settings: Settings) -> None:
    few = settings.provisioning.model_copy(update={"requests_per_minute": 20})
    app = build_process(settings.model_copy(update={"provisioning": few})).app()
    async with (
        app.router.lifespan_context(app),
        machine_at(app, "10.0.0.66") as attacker,
        machine_at(app, "10.0.0.7") as honest,
    ):
        path = f"/boot/{random_mac()}.ipxe"
        answers = [await attacker.get(path) for _ in range(60)]
        assert [answer.status_code for answer in answers[:20]] == [200] * 20
        assert answers[-1].json()["code"] == "request.too_many"
        assert (await honest.get(path)).status_code == 200


@pytest.fixture
def short_list(settings: Settings) -> Settings:
    more = {"discovered_max": 3, "new_machines_per_hour": 100}
    return settings.model_copy(update={"provisioning": settings.provisioning.model_copy(update=more)})


async def silent_for(process: ProvisioningProcess, name: str, silence: timedelta) -> None:
    async with process.database.transaction() as session:
        await session.execute(update(Machine).where(Machine.name == name).values(seen_at=utcnow() - silence))


async def test_a_full_list_drops_the_longest_silent_and_never_one_that_a_person_named(
    short_list: Settings,
) -> None:
    process = build_process(short_list)
    app = process.app()
    async with (
        app.router.lifespan_context(app),
        operator_of(app) as operator,
        machine_at(app, "10.0.0.7") as client,
    ):
        first, second, third = [Ramdisk(client) for _ in range(3)]
        for ramdisk in (first, second, third):
            (await ramdisk.discover()).raise_for_status()
        refusal = await Ramdisk(client).discover()
        assert (refusal.status_code, refusal.json()["code"]) == (429, "machine.waiting_list_full")
        (await operator.patch(f"/api/machines/{first.machine_id}", json={"name": "mine"})).raise_for_status()
        await silent_for(process, "mine", timedelta(days=30))
        await silent_for(process, second.name, timedelta(minutes=7))
        await silent_for(process, third.name, timedelta(minutes=6))
        newcomer = Ramdisk(client)
        assert (await newcomer.discover()).status_code == 200
        assert set(await waiting(operator)) == {"mine", third.name, newcomer.name}


async def test_machines_that_wait_are_forgotten_after_days_of_silence(
    app: FastAPI, operator: httpx.AsyncClient, process: ProvisioningProcess, ramdisk: Ramdisk
) -> None:
    gone = Ramdisk(ramdisk.client)
    for one in (ramdisk, gone):
        (await one.discover()).raise_for_status()
        await silent_for(process, one.name, timedelta(days=8))
    # One that still waits in its ramdisk asks what to do: it is not silent.
    (await ramdisk.claim()).raise_for_status()
    waiting_list = next(one for one in process.services.workers if one.name == "machines that wait")
    await waiting_list.poll()
    assert await waiting(operator) == [ramdisk.name]
    # It was forgotten, and nothing is left of it: when it is started again it is as new.
    assert (await gone.discover()).status_code == 200


async def test_sources_beyond_a_number_are_recorded_together(
    process: ProvisioningProcess, app: FastAPI
) -> None:
    refusals = RefusalLog(process.services.audit)
    for number in range(MAX_OPEN + 50):
        await refusals.note(
            f"10.1.{number // 250}.{number % 250}", "request.refused", "request.too_many", "unknown"
        )
    await refusals.close()
    records = await process.services.audit.read(0, 1000, "unknown")
    assert len(records) == MAX_OPEN + 2
    assert (records[-1].data["source"], records[-1].data["count"]) == (MANY, 49)
