"""Where a request comes from: in each log line and audit record, and never what the caller says of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, client_of
from fastapi import FastAPI
from ramdisk import Ramdisk, random_mac
from real_server import RealServer, running_server

FORWARDED = {"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "https"}


PROXY = "127.0.0.2"


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server that believes the proxies at 127.0.0.2 and in 10.8.0.0/16, and nobody else."""
    folder = tmp_path_factory.mktemp("sources")
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "info",
        "SOUNDSTAGE_LOG__FORMAT": "json",
        "SOUNDSTAGE_HTTP__TRUSTED_PROXIES": f"{PROXY}, 10.8.0.0/16",
    }
    with running_server(folder, environment) as running:
        yield running


def caller(server: RealServer, address: str = "127.0.0.1") -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=server.url, transport=transport, timeout=PATIENCE_S)


def logged_source(server: RealServer, path: str) -> Any:
    """The source in the line of the request; it is written after the answer has left."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for line in server.log.splitlines():
            if line.startswith("{") and (found := json.loads(line)).get("path") == path:
                return found["source"]
        time.sleep(0.02)
    raise AssertionError(f"no line about {path}")


def test_each_request_line_names_the_peer_and_not_what_the_caller_claims(behind_proxy: RealServer) -> None:
    path = f"/boot/{random_mac()}.ipxe"
    with caller(behind_proxy) as client:
        client.get(path, headers=FORWARDED)
    assert logged_source(behind_proxy, path) == "127.0.0.1"


def test_nobody_passes_for_encrypted_by_a_header(behind_proxy: RealServer) -> None:
    with caller(behind_proxy) as client:
        answer = client.post("/api/agent/challenge", json={"machine_id": "mch_1"}, headers=FORWARDED)
    assert (answer.status_code, answer.json()["code"]) == (403, "enrolment.needs_tls")


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ("10.9.9.9", "10.9.9.9"),
        # The nearest address that is no proxy of ours counts, whatever the caller wrote before it.
        ("1.1.1.1, 10.9.9.9, 10.8.3.4", "10.9.9.9"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_trusted_proxy_says_who_is_behind_it(behind_proxy: RealServer, header: str, source: str) -> None:
    path = f"/boot/{random_mac()}.ipxe"
    with caller(behind_proxy, PROXY) as client:
        client.get(path, headers={"X-Forwarded-For": header})
    assert logged_source(behind_proxy, path) == source


async def test_every_audit_record_names_the_address_of_its_request(
    app: FastAPI, operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    (await ramdisk.discover()).raise_for_status()
    (await operator.post(f"/api/machines/{ramdisk.machine_id}/reject")).raise_for_status()
    async with client_of(app, "https://provisioning.example", "10.0.0.8") as stranger:
        await Ramdisk(stranger).enrol("x" * 43)
    records = (await operator.get("/api/audit")).json()
    found = {record["action"]: record["data"]["source"] for record in records}
    assert found["machine.rejected"] == "127.0.0.1"
    assert found["enrolment.refused"] == "10.0.0.8"
