"""A program that acts for people says for whom, and the audit names that person; nobody else may say it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from conftest import client_of
from fastapi import FastAPI
from ramdisk import Ramdisk

from app.provisioning import ProvisioningProcess
from policy import Principal
from policy.acting_for import DELEGATION_HEADER, ActingFor
from policy.keys.schemas import KeyRequest

ADA = ActingFor("key_01ada", "Ada Ünal; administrator")
ADMIN = Principal.local_admin()


async def key_of(process: ProvisioningProcess, role: str, scopes: list[str] | None = None) -> dict[str, str]:
    async with process.database.transaction() as session:
        request = KeyRequest(name=f"agent as {role}", role=role, scopes=scopes)
        created = await process.policy.keys.create(session, request, ADMIN)
    return {"Authorization": f"Bearer {created.key}"}


async def records(operator: httpx.AsyncClient, action: str) -> list[dict[str, Any]]:
    found = (await operator.get("/api/audit", params={"limit": 1000})).raise_for_status().json()
    return [one for one in found if one["action"] == action]


@pytest.fixture
async def remote(app: FastAPI) -> Any:
    async with client_of(app, "https://provisioning.example", "10.0.0.9") as client:
        yield client


async def test_the_person_behind_the_agent_stands_in_the_record_and_is_hashed(
    operator: httpx.AsyncClient, remote: httpx.AsyncClient, process: ProvisioningProcess, ramdisk: Ramdisk
) -> None:
    (await ramdisk.discover()).raise_for_status()
    agent = await key_of(process, "admin", ["machine:*", "person:represent"])
    path = f"/api/machines/{ramdisk.machine_id}/accept"
    output = {**agent, DELEGATION_HEADER: ADA.header()}
    (await remote.post(path, json={"name": "n1", "code": ramdisk.code}, headers=output)).raise_for_status()
    # Not carried over to the next request, by whomever.
    (await remote.patch("/api/machines/n1", json={"tags": ["x"]}, headers=agent)).raise_for_status()

    [accepted] = await records(operator, "machine.accepted")
    assert accepted["actor"] == "agent as admin"
    assert accepted["data"]["on_behalf_of"] == {"id": "key_01ada", "name": "Ada Ünal; administrator"}
    later = await records(operator, "machine.changed")
    assert later and "on_behalf_of" not in later[-1]["data"]
    assert (await process.services.audit.verify()).broken_at is None


@pytest.mark.parametrize("role", ["operator", "a2a-admin"])
async def test_a_plain_key_cannot_claim_to_act_for_somebody(
    operator: httpx.AsyncClient,
    remote: httpx.AsyncClient,
    process: ProvisioningProcess,
    ramdisk: Ramdisk,
    role: str,
) -> None:
    (await ramdisk.discover()).raise_for_status()
    headers = {**await key_of(process, role), DELEGATION_HEADER: ADA.header()}
    path = f"/api/machines/{ramdisk.machine_id}/accept"
    answer = await remote.post(path, json={"name": "n1", "code": ramdisk.code}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden")
    assert "person:represent" in answer.text
    assert (await operator.get(f"/api/machines/{ramdisk.machine_id}")).json()["state"] == "discovered"


@pytest.mark.parametrize("header", ["", "ada", "a;b", ";;", "a;b;c;d", "x" * 300 + ";b;c"])
async def test_a_header_that_names_nobody_is_refused(operator: httpx.AsyncClient, header: str) -> None:
    answer = await operator.get("/api/machines", headers={DELEGATION_HEADER: header})
    assert (answer.status_code, answer.json()["code"]) == (422, "policy.bad_acting_for")
