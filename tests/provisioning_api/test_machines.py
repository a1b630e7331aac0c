"""Machines: what is known of them, rules, the call home, the inventory, the time line, and how a life
ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import ANSIBLE, client_of, end_of, eventually
from fastapi import FastAPI
from metric_values import metric_value
from ramdisk import Ramdisk, random_mac
from sshd_server import Sshd
from test_runs import LOCAL

from provisioning_api.callhome.service import fingerprint_of
from provisioning_api.machines.journal import STREAM
from provisioning_api.machines.states import (
    GUARDS,
    MACHINE_TRANSITIONS,
    GuardFacts,
    MachineState,
    move,
)
from provisioning_api.timeline.service import span_of, with_critical_path
from soundstage.errors import Conflict, Unavailable
from soundstage.events import Event, EventStore
from soundstage.settings import Settings

Make = Callable[..., Awaitable[dict[str, Any]]]
NVIDIA = {"address": "0000:01:00.0", "vendor": "10de", "device": "1e81", "model": "TU104", "vram_mib": 8192}


@pytest.mark.parametrize("before", MachineState)
@pytest.mark.parametrize("after", MachineState)
def test_only_the_moves_of_the_table_are_made(before: MachineState, after: MachineState) -> None:
    able = GuardFacts(acceptance=1, written=0, has_host_key=True, has_address=True)
    if after in MACHINE_TRANSITIONS[before]:
        assert move(before, after, able) is after
    else:
        with pytest.raises(Conflict, match="cannot become"):
            move(before, after, able)


@pytest.mark.parametrize(("before", "after"), GUARDS)
def test_a_guard_stops_a_move_that_the_table_allows(before: MachineState, after: MachineState) -> None:
    with pytest.raises(Conflict, match="becomes"):
        move(before, after, GuardFacts())


async def test_a_machine_that_boots_twice_is_one_machine_and_its_changes_are_told(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    ramdisk.hardware = {"memory_mib": 65536, "gpus": [NVIDIA]}
    await ramdisk.discover()
    await ramdisk.discover()
    ramdisk.hardware = {"memory_mib": 32768, "gpus": []}
    await ramdisk.discover()
    assert len((await operator.get("/api/machines")).json()) == 1
    reports = (await operator.get(f"/api/machines/{ramdisk.name}/hardware")).json()
    assert len(reports) == 2
    changes = {change["path"]: (change["before"], change["after"]) for change in reports[0]["changes"]}
    assert changes["memory_mib"] == (65536, 32768)
    assert changes["gpus[0000:01:00.0].model"] == ("TU104", None)


async def test_a_rule_puts_machines_with_two_nvidia_cards_into_the_pool_gpu(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    ramdisk.hardware = {"gpus": [NVIDIA, {**NVIDIA, "address": "0000:02:00.0"}]}
    await ramdisk.discover()
    machine = (await operator.get(f"/api/machines/{ramdisk.name}")).json()
    assert (machine["pool"], machine["tags"], machine["state"]) == ("gpu", ["nvidia"], "discovered")


async def test_nobody_joins_a_new_installation_by_itself(ramdisk: Ramdisk) -> None:
    assert (await ramdisk.discover()).json()["state"] == "discovered"
    assert (await ramdisk.claim()).json()["next"] == "wait"


async def test_the_shipped_rule_lets_a_machine_in_that_calls_home_and_names_itself_in_the_audit(
    operator: httpx.AsyncClient, app: FastAPI, sshd: Sshd, settings: Settings
) -> None:
    """The behaviour of earlier installations, switched on by name."""
    sshd.start()
    change = {"enabled": True, "when": {"calls_home": True, "networks": ["10.0.0.0/24"]}}
    (await operator.patch("/api/rules/any-machine-on-this-network", json=change)).raise_for_status()
    key = await operator.post(
        "/api/keys",
        json={"name": "site", "role": "operator", "scopes": ["machine:call_home", "machine:update"]},
    )
    async with client_of(app, "https://provisioning.example", "10.0.0.9") as machine:
        machine.headers["Authorization"] = f"Bearer {key.json()['key']}"
        refused = await machine.get("/api/machines")
        assert refused.status_code == 403
        call = {"hostname": "old1", "ip": "127.0.0.1"}
        first = (await machine.post("/api/ready-for-provisioning", json=call)).json()
        # Nothing answers on port 22 of this test, and that is what its record says.
        assert first["status"] == "accepted" and "host key" in first["message"]
        await operator.patch("/api/machines/old1", json={"ssh_port": sshd.port})
        second = await machine.post("/api/ready-for-provisioning", json=call)
        third = await machine.post("/api/ready-for-provisioning", json=call)
    assert second.status_code == 202
    assert second.json()["run_id"] == third.json()["run_id"] is not None
    records = (await operator.get("/api/audit", params={"limit": 1000})).json()
    named = {one["action"] for one in records if one["actor"] == "rule any-machine-on-this-network"}
    assert named == {"machine.accepted", "machine.armed", "machine.pinned", "run.queued"}
    status = (await operator.get("/api/provisioning/status/old1")).json()
    assert (status["hostname"], status["ip"], status["run_id"]) == (
        "old1",
        "127.0.0.1",
        third.json()["run_id"],
    )
    # It has never heard of our user CA, so Ansible is not let in, and says what to do.
    assert (await end_of(operator, third.json()["run_id"]))["state"] == "failed"
    [failure] = (await operator.get("/api/failures")).json()
    assert "TrustedUserCAKeys" in failure["hint"]


async def test_a_host_key_is_pinned_only_if_it_is_the_one_that_was_named(
    operator: httpx.AsyncClient, sshd: Sshd
) -> None:
    sshd.start()
    await operator.post("/api/ready-for-provisioning", json={"hostname": "old1", "ip": "127.0.0.1"})
    await operator.patch("/api/machines/old1", json={"ssh_port": sshd.port})
    await operator.post("/api/machines/old1/accept", json={})
    wrong = await operator.post("/api/machines/old1/pin", json={"fingerprint": f"SHA256:{'A' * 43}"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "machine.other_host_key")
    right = await operator.post("/api/machines/old1/pin", json={"fingerprint": fingerprint_of(sshd.host_key)})
    assert right.json()["host_key_from"] == "pinned"


async def test_the_inventory_is_what_ansible_reads(
    operator: httpx.AsyncClient, make_member: Make, settings: Settings, tmp_path: Path
) -> None:
    await make_member("node1", hardware={"gpus": [NVIDIA], "cpu_threads": 16})
    await make_member("node2")
    listed = (await operator.get("/api/inventory")).json()
    assert listed["members"] == {"hosts": ["node1", "node2"]} and listed["nvidia"] == {"hosts": ["node1"]}

    async def written() -> bool:
        return bool(json.loads(settings.inventory_path.read_text()) == listed)

    await eventually(written)
    script = tmp_path / "inventory.sh"
    script.write_text(f"#!/bin/sh\ncat {settings.inventory_path}\n")
    script.chmod(0o755)
    command = [ANSIBLE / "ansible-inventory", "-i", script, "--list"]
    printed = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, cwd=tmp_path)
    known = json.loads(printed.stdout)
    assert known["_meta"]["hostvars"]["node1"]["soundstage_cpu_threads"] == 16
    assert known["pool_default"]["hosts"] == ["node1", "node2"]


async def test_the_inventory_file_follows_the_machines_after_the_database_was_away(
    operator: httpx.AsyncClient, make_member: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, away = EventStore.read, [Unavailable("database.busy", "It is busy.", "Wait.")]

    async def once_away(events: EventStore, stream: str | None = None, *others: Any) -> list[Event]:
        if away and stream == STREAM:
            raise away.pop()
        return await read(events, stream, *others)

    monkeypatch.setattr(EventStore, "read", once_away)
    await make_member("node1")

    async def written() -> bool:
        return "node1" in settings.inventory_path.read_text()

    await eventually(written)
    assert not away


async def test_members_are_in_the_groups_that_the_playbook_speaks_of(
    operator: httpx.AsyncClient, make_member: Make
) -> None:
    for name, cards, tags in (
        ("head", [], ["control"]),
        ("both", [NVIDIA], ["control", "worker"]),
        ("cards", [NVIDIA], []),
        ("plain", [], ["rack-7"]),
    ):
        await make_member(name, hardware={"gpus": cards})
        (await operator.patch(f"/api/machines/{name}", json={"tags": tags})).raise_for_status()
    listed = (await operator.get("/api/inventory")).json()
    hosts = {group: sorted(listed[group]["hosts"]) for group in ("control", "workers", "gpu")}
    assert hosts == {
        "control": ["both", "head"],
        "workers": ["both", "cards", "plain"],
        "gpu": ["both", "cards"],
    }


async def test_the_inventory_names_retired_machines_whose_certificates_the_farm_revokes(
    operator: httpx.AsyncClient, make_member: Make
) -> None:
    async def list_retired() -> list[str]:
        names: list[str] = (await operator.get("/api/inventory")).json()["all"]["vars"]["farm__retired"]
        return names

    for name in ("node1", "node2"):
        await make_member(name)
    assert await list_retired() == []
    body = {"confirm": "node1", "wipe": False}
    (await operator.post("/api/machines/node1/retire", json=body)).raise_for_status()
    assert await list_retired() == ["node1"]


async def test_a_rejected_machine_stays_away_until_somebody_accepts_it(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.discover()
    await operator.post(f"/api/machines/{ramdisk.name}/reject")
    assert (await ramdisk.discover()).json()["state"] == "retired"
    assert (await ramdisk.claim()).json()["next"] == "boot"
    back = await operator.post(f"/api/machines/{ramdisk.name}/accept", json={"code": ramdisk.code})
    assert back.json()["state"] == "accepted"


async def test_a_failed_deployment_says_what_to_do_and_a_new_yes_allows_one_more_write(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.discover()
    await operator.post(f"/api/machines/{ramdisk.name}/accept", json={"name": "node1", "code": ramdisk.code})
    await ramdisk.token()
    (await ramdisk.call("write")).raise_for_status()
    failure = {"failure": {"code": "disk_failed", "message": "I/O error on sda"}}
    await ramdisk.call("report", failure)
    machine = (await operator.get("/api/machines/node1")).json()
    assert (machine["state"], machine["may_be_written"]) == ("failed", False)
    assert "Replace the disk" in machine["hint"]
    again = (await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})).json()
    assert (again["state"], again["may_be_written"]) == ("accepted", True)


async def test_a_changed_card_is_taken_over_by_a_new_yes(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    first = random_mac()
    ramdisk.macs.append(first)
    await ramdisk.discover()
    await operator.post(f"/api/machines/{ramdisk.name}/accept", json={"name": "node1", "code": ramdisk.code})
    ramdisk.macs[-1] = random_mac()
    await ramdisk.discover()
    token = await ramdisk.token()
    assert (await ramdisk.enrol(token)).json()["code"] == "enrolment.wrong_machine"
    await operator.post("/api/machines/node1/reject")
    await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})
    assert (await ramdisk.enrol(await ramdisk.token())).is_success


async def test_the_plan_of_an_end_is_shown_first_and_must_still_hold(
    operator: httpx.AsyncClient, make_member: Make
) -> None:
    await make_member("node1", hardware={"disks": [{"name": "sda", "bytes": 10**12, "model": "X"}]})
    plan = (await operator.get("/api/machines/node1/retire")).json()
    assert any("sda (1000 GB, X)" in step for step in plan["steps"])
    assert (await operator.get("/api/machines/node1")).json()["state"] == "enrolled"
    stale = await operator.post("/api/machines/node1/retire", json={"confirm": "node1", "plan": "0" * 64})
    assert stale.json()["code"] == "retire.plan_changed"
    done = await operator.post(
        "/api/machines/node1/retire", json={"confirm": "node1", "plan": plan["digest"]}
    )
    assert done.json()["state"] == "draining"


async def test_the_time_line_goes_from_the_first_boot_script_to_the_last_task(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, project: Path
) -> None:
    (project / "playbook.yaml").write_text(
        LOCAL + "".join(f"    - {{name: Task {n}, ansible.builtin.debug: {{msg: x}}}}\n" for n in (1, 2, 3))
    )
    await ramdisk.client.get(f"/boot/{ramdisk.macs[0]}.ipxe")
    await ramdisk.discover()
    # Its script is asked for again once it is known: that is where the journey begins.
    await ramdisk.client.get(f"/boot/{ramdisk.macs[0]}.ipxe")
    await operator.post(f"/api/machines/{ramdisk.name}/accept", json={"name": "node1", "code": ramdisk.code})
    token = await ramdisk.token()
    await ramdisk.call("write")
    await asyncio.sleep(0.3)
    spans = [
        {"name": "agent", "ago_s": 0.3, "seconds": 0.1},
        {"name": "stream", "ago_s": 0.2, "seconds": 0.2},
    ]
    await ramdisk.call("report", {"spans": spans})
    member = (await ramdisk.enrol(token)).raise_for_status().json()
    called = await ramdisk.client.post(
        "/api/ready-for-provisioning",
        json={"hostname": "node1", "ip": "127.0.0.1"},
        headers={"Authorization": f"Bearer {member['call_home_token']}"},
    )
    assert (await end_of(operator, called.json()["run_id"]))["state"] == "succeeded"
    found = (await operator.get("/api/machines/node1/timeline")).json()
    names = [span["name"] for span in found["spans"]]
    assert names == [
        "boot script: local", "waits for a yes", "agent", "stream", "first boot",
        "run waits for its turn", "Task 1", "Task 2", "Task 3",
    ]  # fmt: skip
    first, second, third = found["spans"][-3:]
    assert first["ended_at"] <= second["started_at"] and second["ended_at"] <= third["started_at"]
    critical = {span["name"] for span in found["spans"] if span["critical"]}
    assert {"waits for a yes", "stream", "first boot", "Task 3"} <= critical
    assert 0 < found["critical_seconds"] <= found["seconds"]


async def test_the_time_line_shows_the_machines_spans_and_the_tasks_of_its_run(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.client.get(f"/boot/{ramdisk.macs[0]}.ipxe")
    await ramdisk.discover()
    await operator.post(f"/api/machines/{ramdisk.name}/accept", json={"name": "node1", "code": ramdisk.code})
    spans = [{"name": "kernel", "ago_s": 30, "seconds": 5}, {"name": "stream", "ago_s": 25, "seconds": 20}]
    report = {"spans": [*spans, {"name": "beside it", "ago_s": 24, "seconds": 2}]}
    await ramdisk.call("report", report)
    assert (
        metric_value("boot_stage_seconds", stage="kernel"),
        metric_value("boot_stage_seconds", stage="other"),
    ) == (1, 2)
    found = (await operator.get("/api/machines/node1/timeline")).json()
    critical = {span["name"]: span["critical"] for span in found["spans"]}
    assert critical == {"kernel": True, "stream": True, "beside it": False}
    assert found["critical_seconds"] == 25.0


def test_the_critical_path_is_what_was_waited_for() -> None:
    zero = datetime(2026, 1, 1, tzinfo=UTC)

    def span(name: str, start: float, end: float) -> Any:
        return span_of(name, "test", zero + timedelta(seconds=start), zero + timedelta(seconds=end))

    spans = [
        span("dhcp", 0, 1),
        span("kernel", 1, 5),
        span("side", 1, 3),
        span("agent", 6, 9),
        span("log", 6, 7),
    ]
    marked = [one.name for one in with_critical_path(spans) if one.critical]
    assert marked == ["dhcp", "kernel", "agent"]
    assert with_critical_path([]) == []
    assert span("backwards", 5, 1).seconds == 0
