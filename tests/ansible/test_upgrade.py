"""Another build of Nomad comes onto the farm, one machine at a time, while work runs on it."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from farm_in_lab import LabFarm, sha256
from journey_inputs import FARM

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.cached(*FARM)]
NOMAD = "https://10.77.0.11:4646"
WORKERS = {"cpu-1", "gpu-1", "gpu-2"}


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    farm.converge(nomad__drivers=["raw_exec"])
    deadline = time.monotonic() + 300
    while {name for name, node in nodes(farm).items() if works(node)} != WORKERS:
        assert time.monotonic() < deadline, nodes(farm)
        time.sleep(1)
    return farm


def works(node: dict[str, object]) -> bool:
    return node["Status"] == "ready" and node["SchedulingEligibility"] == "eligible"


def nodes(farm: LabFarm) -> dict[str, dict[str, object]]:
    found = farm.json(f"{NOMAD}/v1/nodes", "X-Nomad-Token", farm.secret("nomad/management.token")) or []
    return {node["Name"]: node for node in found}


def allocations(farm: LabFarm, job: str) -> list[dict[str, object]]:
    token = farm.secret("nomad/management.token")
    return farm.json(f"{NOMAD}/v1/job/{job}/allocations", "X-Nomad-Token", token) or []


def test_a_machine_is_drained_and_works_again(ready: LabFarm) -> None:
    playbook = "ansible/playbooks/drain.yaml"
    ready.converge("--limit", "cpu-1", playbook=playbook)
    assert nodes(ready)["cpu-1"]["SchedulingEligibility"] == "ineligible"
    assert nodes(ready)["gpu-1"]["SchedulingEligibility"] == "eligible"
    ready.converge("--limit", "cpu-1", playbook=playbook, drain="off")
    assert nodes(ready)["cpu-1"]["SchedulingEligibility"] == "eligible"


def test_an_upgrade_moves_work_out_of_the_way_and_loses_none(ready: LabFarm) -> None:
    other = ready.folder / "nomad-retagged"
    shutil.copy(ready.programs["nomad"], other)
    with other.open("ab") as program:
        program.write(b"the same, with another checksum")
    job = {
        "ID": "waits",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "waits",
                "Count": 2,
                "Tasks": [
                    {
                        "Name": "waits",
                        "Driver": "raw_exec",
                        "Config": {"command": "/bin/sleep", "args": ["100000"]},
                        "Resources": {"CPU": 50, "MemoryMB": 32},
                    }
                ],
            }
        ],
    }
    token = ready.secret("nomad/management.token")
    body = json.dumps({"Job": job})
    assert ready.ask(f"{NOMAD}/v1/jobs", "X-Nomad-Token", token, "--data", body).returncode == 0

    def running() -> int:
        return sum(one["ClientStatus"] == "running" for one in allocations(ready, "waits"))

    deadline = time.monotonic() + 180
    while running() < 2:
        assert time.monotonic() < deadline, allocations(ready, "waits")
        time.sleep(1)
    ready.converge(
        playbook="ansible/playbooks/upgrade.yaml",
        nomad__file=str(other),
        nomad__file_sha256=sha256(other),
        nomad__drivers=["raw_exec"],
    )
    for machine in ("control-1", *WORKERS):
        assert sha256(other)[:16] in ready.on(machine, "readlink", "/usr/local/bin/nomad").stdout
    found = nodes(ready)
    assert {node["SchedulingEligibility"] for node in found.values()} == {"eligible"}
    while running() < 2:
        assert time.monotonic() < deadline + 600, allocations(ready, "waits")
        time.sleep(1)
    assert not [one for one in allocations(ready, "waits") if one["ClientStatus"] in ("failed", "lost")]


def test_a_version_that_does_not_start_is_taken_back_with_its_state(ready: LabFarm) -> None:
    before = ready.on("control-1", "readlink", "/usr/local/bin/nomad").stdout
    build_of_worker = ready.on("gpu-1", "readlink", "/usr/local/bin/nomad").stdout
    known = set(nodes(ready))
    broken = ready.folder / "nomad-broken"
    broken.write_text("#!/bin/sh\necho this build starts nowhere >&2\nexit 1\n")
    done = ready.play(
        playbook="ansible/playbooks/upgrade.yaml",
        nomad__file=str(broken),
        nomad__file_sha256=sha256(broken),
        nomad__drivers=["raw_exec"],
        upgrade_wait_s=20,
    )
    assert done.status != 0
    assert "upgrade.taken_back: control-1 runs its former version with its former state again" in done.said()
    assert ready.on("control-1", "readlink", "/usr/local/bin/nomad").stdout == before
    assert ready.on("gpu-1", "readlink", "/usr/local/bin/nomad").stdout == build_of_worker
    assert set(nodes(ready)) == known
    assert {node["SchedulingEligibility"] for node in nodes(ready).values()} == {"eligible"}


def test_an_upgrade_begins_with_a_copy_or_not_at_all(ready: LabFarm) -> None:
    copies = ready.on("control-1", "soundstage-backup", "list").stdout.split()
    assert len(copies) > 1  # one of the first run, one of each upgrade
    place = "/var/backups/soundstage/repository"
    ready.on("control-1", "mv", place, f"{place}.away")
    done = ready.play(playbook="ansible/playbooks/upgrade.yaml", nomad__drivers=["raw_exec"])
    ready.on("control-1", "mv", f"{place}.away", place)
    assert done.status != 0
    assert "upgrade.no_backup" in done.said() and "backup.no_repository" in done.said()
