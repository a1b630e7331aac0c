"""A plain Nomad and Consul on lab machines: real limits, cards that can fail, machines that go and come."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from lab.cluster.api import ClusterApi
from lab.farm_in_a_box import Lab
from lab.faults.clock import AHEAD_S

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Nomad: install Go 1.26, then `make tools`"),
]


@pytest.fixture(scope="module")
def farm(labs: Any) -> Lab:
    created: Lab = labs("farm", ["control", "gpu-1", "cpu-1"], "0,rtx-2080-super+l4,0", cluster=True)
    return created


@pytest.fixture
def cluster(farm: Lab) -> Any:
    """Its API; all is healed afterwards."""
    yield farm.cluster()
    for machine in farm.plan.machines:
        farm.clear_fault(machine.name)
    farm.cluster().wait_until_ready()


def batch_job(name: str, driver: str, command: list[str], memory_mib: int) -> dict[str, Any]:
    task = {
        "Name": "work",
        "Driver": driver,
        "Config": {"command": command[0], "args": command[1:]},
        "Resources": {"CPU": 100, "MemoryMB": memory_mib},
    }
    never = {"Attempts": 0, "Mode": "fail"}
    group = {
        "Name": "work",
        "Tasks": [task],
        "RestartPolicy": never,
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
    }
    return {"Job": {"ID": name, "Type": "batch", "Datacenters": ["*"], "TaskGroups": [group]}}


def run_to_its_end(cluster: ClusterApi, job: dict[str, Any]) -> Any:
    """The allocation of a job's one task when it has ended."""
    cluster.nomad("PUT", "/v1/jobs", job)

    def ended() -> Any:
        found = cluster.nomad("GET", f"/v1/job/{job['Job']['ID']}/allocations")
        return found[0] if found and found[0]["ClientStatus"] in ("complete", "failed") else None

    return cluster.wait_for(ended, f"{job['Job']['ID']} to end")[0]


def cards_of(cluster: ClusterApi, machine: str) -> dict[str, bool]:
    """{model: healthy} as the server knows them."""
    node = next(one["ID"] for one in cluster.nomad("GET", "/v1/nodes") if one["Name"] == machine)
    groups = cluster.nomad("GET", f"/v1/node/{node}")["NodeResources"]["Devices"] or []
    return {one["Name"]: all(instance["Healthy"] for instance in one["Instances"]) for one in groups}


def test_clients_are_ready_with_the_cards_that_they_were_given(cluster: ClusterApi) -> None:
    assert cluster.node_states() == {"gpu-1": "ready", "cpu-1": "ready"}
    expected = {"NVIDIA GeForce RTX 2080 SUPER": True, "NVIDIA L4": True}
    assert cluster.wait_for(lambda: cards_of(cluster, "gpu-1") == expected, "the cards")[0]
    assert cards_of(cluster, "cpu-1") == {}
    both = {"nomad", "nomad-client"}
    cluster.wait_for(lambda: both <= set(cluster.consul("GET", "/v1/catalog/services")), "Nomad in Consul")


def test_a_task_that_takes_more_memory_than_it_was_given_is_killed(cluster: ClusterApi) -> None:
    eat = ["/usr/bin/python3", "-c", "print(len('x' * (200 << 20)))"]
    greedy = run_to_its_end(cluster, batch_job("greedy", "raw_exec", eat, memory_mib=64))
    assert greedy["ClientStatus"] == "failed"
    assert "137" in str([event["DisplayMessage"] for event in greedy["TaskStates"]["work"]["Events"]])
    modest = run_to_its_end(cluster, batch_job("modest", "raw_exec", eat, memory_mib=400))
    assert modest["ClientStatus"] == "complete"


def test_the_server_learns_of_a_dead_card_and_of_its_return(farm: Lab, cluster: ClusterApi) -> None:
    dead = {"NVIDIA GeForce RTX 2080 SUPER": False, "NVIDIA L4": True}
    farm.inject_fault("gpu-1", "card-dead")
    cluster.wait_for(lambda: cards_of(cluster, "gpu-1") == dead, "the dead card")
    farm.clear_fault("gpu-1")
    cluster.wait_for(lambda: all(cards_of(cluster, "gpu-1").values()), "the card's return")


def test_a_machine_without_its_cable_is_down_for_the_server_and_comes_back(
    farm: Lab, cluster: ClusterApi
) -> None:
    farm.inject_fault("cpu-1", "network")
    cluster.wait_for(lambda: cluster.node_states()["cpu-1"] in ("down", "disconnected"), "it to be missed")
    farm.clear_fault("cpu-1")
    cluster.wait_for(lambda: cluster.node_states()["cpu-1"] == "ready", "the server to see it again")


def test_a_wrong_clock_is_wrong_for_nomad_too(farm: Lab, cluster: ClusterApi) -> None:
    """Nomad is linked statically and takes the time from the kernel itself."""

    def minutes_ahead() -> float:
        name = f"noted-{time.time_ns()}"
        cluster.nomad("PUT", "/v1/jobs", batch_job(name, "raw_exec", ["/usr/bin/true"], 64))
        submitted = int(cluster.nomad("GET", f"/v1/job/{name}")["SubmitTime"])
        return (submitted / 1e9 - time.time()) / 60

    farm.inject_fault("control", "clock")
    cluster.wait_until_ready()
    assert AHEAD_S / 60 - 5 < cluster.wait_for(minutes_ahead, "a job's time")[0] < AHEAD_S / 60 + 5
    farm.clear_fault("control")
    cluster.wait_until_ready()
    assert abs(cluster.wait_for(minutes_ahead, "a job's time")[0]) < 5


def test_an_isolated_task_sees_its_own_root_and_is_nobody(cluster: ClusterApi) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("the driver exec needs a C compiler: apt-get install gcc libc6-dev")
    look = "test $(id -u) != 0 && test ! -e /opt && test -d /alloc"
    done = run_to_its_end(cluster, batch_job("look", "exec", ["/usr/bin/sh", "-c", look], 64))
    assert done["ClientStatus"] == "complete", done["TaskStates"]
    eat = "head -c 200m /dev/zero | tail | wc -c | grep -qx 209715200"
    greedy = run_to_its_end(cluster, batch_job("greedy", "exec", ["/usr/bin/sh", "-c", eat], 64))
    assert greedy["ClientStatus"] == "failed", greedy["TaskStates"]
