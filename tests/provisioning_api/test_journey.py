"""From a ramdisk that nobody knows to a machine that is ready, on a real sshd with real Ansible."""

from __future__ import annotations

import time

import httpx
import pytest
from conftest import eventually
from metric_values import metric_value, read_state
from ramdisk import Ramdisk
from sshd_server import Sshd

from app.provisioning import ProvisioningProcess


@pytest.mark.smoke
async def test_a_machine_reports_is_accepted_enrols_is_configured_and_is_ready(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, sshd: Sshd, process: ProvisioningProcess
) -> None:
    ramdisk.address, ramdisk.host_key = "127.0.0.1", sshd.host_key
    assert (await ramdisk.discover()).json()["state"] == "discovered"
    waiting = (await ramdisk.claim()).json()
    assert (waiting["next"], waiting["token"]) == ("wait", None)

    accepted = await operator.post(
        f"/api/machines/{ramdisk.name}/accept", json={"name": "node1", "code": ramdisk.code}
    )
    assert accepted.json()["state"] == "accepted"
    await operator.patch("/api/machines/node1", json={"ssh_port": sshd.port})

    membership = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    assert membership["name"] == "node1"
    sshd.trust(membership["host_certificate"], membership["user_ca"])
    sshd.start()

    called = await ramdisk.client.post(
        "/api/ready-for-provisioning",
        json={"hostname": "node1", "ip": "127.0.0.1"},
        headers={"Authorization": f"Bearer {membership['call_home_token']}"},
    )
    run_id = called.raise_for_status().json()["run_id"]

    async def ended() -> dict[str, object] | None:
        run = (await operator.get(f"/api/runs/{run_id}")).json()
        return run if run["state"] not in ("queued", "running") else None

    run = await eventually(ended)
    assert run["state"] == "succeeded", (run, sshd.log)
    assert (await operator.get("/api/machines/node1")).json()["state"] == "ready"
    assert f"ID soundstage {run_id}" in sshd.log

    assert metric_value("runs", result="succeeded") == metric_value("run_seconds", result="succeeded") == 1
    assert await read_state(process.metrics, "machines", state="ready") == 1
    assert await read_state(process.metrics, "runs_open", state="running") == 0
    ends = await read_state(process.metrics, "certificate_expires_timestamp_seconds", certificate="machines")
    assert ends is not None and ends > time.time()
