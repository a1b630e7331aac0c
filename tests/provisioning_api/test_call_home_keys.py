"""Keys that many machines share to call home: what they open, and which machines they place where."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from conftest import client_of
from fastapi import FastAPI

CALL = "/api/ready-for-provisioning"


@pytest.fixture
async def shared(app: FastAPI, operator: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A machine at 10.0.0.9 on the plain port, with the key that all machines have."""
    expected = {"name": "call home", "role": "operator", "scopes": ["machine:call_home"]}
    key = (await operator.post("/api/keys", json=expected)).raise_for_status().json()["key"]
    async with client_of(app, "http://provisioning.example", "10.0.0.9") as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield client


async def address_of(operator: httpx.AsyncClient, name: str) -> str | None:
    found: str | None = (await operator.get(f"/api/machines/{name}")).raise_for_status().json()["address"]
    return found


async def test_a_shared_key_places_no_machine_that_nobody_expects(
    shared: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    call = {"hostname": "old1", "ip": "10.0.0.12"}
    assert (await shared.post(CALL, json=call)).json()["status"] == "discovered"
    assert await address_of(operator, "old1") is None
    (await operator.post("/api/machines/old1/accept", json={})).raise_for_status()
    assert (await shared.post(CALL, json=call)).json()["status"] == "accepted"
    assert await address_of(operator, "old1") == "10.0.0.12"


LOCAL = ["127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1"]


@pytest.mark.parametrize("ip", LOCAL)
async def test_no_shared_key_leads_to_this_machine(
    shared: httpx.AsyncClient, operator: httpx.AsyncClient, ip: str
) -> None:
    answer = await shared.post(CALL, json={"hostname": "old1", "ip": ip})
    assert (answer.status_code, answer.json()["code"]) == (403, "callhome.bad_address")
    assert (await operator.get("/api/machines")).json() == []


async def test_too_many_new_machines_of_one_address_are_refused_with_one_record(
    shared: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    calls = [{"hostname": f"new{number}", "ip": f"10.0.1.{number}"} for number in range(1, 21)]
    refusals = [answer for call in calls if (answer := await shared.post(CALL, json=call)).is_error]
    assert {(one.status_code, one.json()["code"]) for one in refusals} == {(429, "machine.too_many_new")}
    records = (await operator.get("/api/audit")).raise_for_status().json()
    assert [one["actor"] for one in records if one["action"] == "machine.refused"] == ["10.0.0.9"]


async def test_an_operators_key_is_refused_over_plain_http(app: FastAPI, operator: httpx.AsyncClient) -> None:
    expected = {"name": "ada", "role": "admin"}
    key = (await operator.post("/api/keys", json=expected)).raise_for_status().json()["key"]
    async with client_of(app, "http://provisioning.example", "10.0.0.9") as client:
        client.headers["Authorization"] = f"Bearer {key}"
        for answer in (
            await client.get("/api/machines"),
            await client.post(CALL, json={"hostname": "old1", "ip": "10.0.0.12"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.needs_tls")
