"""The plugin under a real Nomad: a server, a node with whole cards, one with shares, one misconfigured."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nomad_cluster import NomadClient, NomadCluster, nomad_program
from waiting import eventually

pytestmark = pytest.mark.root

BIG = {"uuid": "GPU-11111111-big", "model": "NVIDIA L4", "memory_mib": 23034, "used_mib": 300}
SMALL = {"uuid": "GPU-22222222-small", "model": "NVIDIA RTX 2080", "memory_mib": 8192}
SHARED = {"uuid": "GPU-33333333-shared", "model": "NVIDIA RTX 2080", "memory_mib": 8192}
SHARED_TOO = {"uuid": "GPU-44444444-shared", "model": "NVIDIA RTX 2080", "memory_mib": 8192}
# The client sends changes of its node in batches; the rest is patience.
LAG_S = 90


@pytest.fixture(scope="module")
def cluster(nomad_clusters: Callable[..., NomadCluster]) -> NomadCluster:
    cluster = nomad_clusters("device-plugin")
    cluster.add_client("whole", [BIG, SMALL])
    cluster.add_client("shared", [SHARED, SHARED_TOO], share_mib=1024, node_pool="gpu-shared")
    return cluster


@pytest.fixture
def whole(cluster: NomadCluster) -> Iterator[NomadClient]:
    client = cluster.clients["whole"]
    yield client
    client.cards.set([BIG, SMALL])


@pytest.fixture
def node_of_shared_cards(cluster: NomadCluster) -> NomadClient:
    return cluster.clients["shared"]


def gpu_job(
    name: str, count: int = 1, *, memory: str = "", pool: str = "default", uuid: str = ""
) -> dict[str, Any]:
    """A task that writes its environment and sleeps."""
    device: dict[str, Any] = {"Name": "nvidia/gpu", "Count": count}
    if memory:
        device["Constraints"] = [{"LTarget": "${device.attr.memory}", "Operand": ">=", "RTarget": memory}]
    if uuid:
        device["Affinities"] = [
            {"LTarget": "${device.attr.uuid}", "Operand": "=", "RTarget": uuid, "Weight": 100}
        ]
    task = {
        "Name": "work",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sh", "args": ["-c", "env > local/env && exec sleep 600"]},
        "Resources": {"CPU": 50, "MemoryMB": 32, "Devices": [device]},
        "KillTimeout": 1_000_000_000,
    }
    group = {
        "Name": "group",
        "Count": 1,
        "Tasks": [task],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
    }
    return {"ID": name, "Type": "batch", "Datacenters": ["*"], "NodePool": pool, "TaskGroups": [group]}


def running(cluster: NomadCluster, job: str) -> dict[str, Any]:
    """The job's allocation, once its task runs."""
    return eventually(
        lambda: next((one for one in cluster.allocations(job) if one["ClientStatus"] == "running"), None),
        f"the job {job} to run",
        LAG_S,
    )


def environment(client: NomadClient, allocation: dict[str, Any]) -> dict[str, str]:
    """Returns the environment that the task printed."""
    file = client.data_dir / "alloc" / allocation["ID"] / "work" / "local" / "env"
    text = eventually(lambda: file.exists() and file.read_text(), "the task to write its environment", 60)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.fixture
def submit(cluster: NomadCluster) -> Iterator[Callable[..., str]]:
    """Registers jobs of `gpu_job`, and stops them when the test is over."""
    names: list[str] = []

    def submit(name: str, *arguments: Any, **options: Any) -> str:
        cluster.run(gpu_job(name, *arguments, **options))
        names.append(name)
        return name

    yield submit
    for name in names:
        cluster.server.delete(f"/v1/job/{name}?purge=true")

    def over() -> bool:
        return all(
            one["ClientStatus"] in ("complete", "failed")
            for name in names
            for one in cluster.allocations(name)
        )

    eventually(over, "the tasks to end", LAG_S)


def test_the_node_shows_whole_cards_by_model_with_their_memory(
    cluster: NomadCluster, whole: NomadClient
) -> None:
    devices = eventually(lambda: cluster.devices(whole), "cards", LAG_S)
    assert {name: group["instances"] for name, group in devices.items()} == {
        "NVIDIA L4": {BIG["uuid"]: True},
        "NVIDIA RTX 2080": {SMALL["uuid"]: True},
    }
    assert devices["NVIDIA L4"]["attributes"] == {"model": "NVIDIA L4", "memory": 23034}


def test_the_node_shows_each_shared_card_as_a_group_of_shares(
    cluster: NomadCluster, node_of_shared_cards: NomadClient
) -> None:
    devices = eventually(lambda: cluster.devices(node_of_shared_cards), "cards", LAG_S)
    assert len(devices) == 2
    group = devices[f"NVIDIA-RTX-2080.{SHARED['uuid']}"]
    assert group["attributes"] == {
        "model": "NVIDIA RTX 2080",
        "memory": 8192,
        "uuid": SHARED["uuid"],
        "shares": 8,
        "share_size": 1024,
    }
    assert set(group["instances"]) == {f"{SHARED['uuid']}#{number:03d}" for number in range(8)}


@pytest.mark.parametrize(
    ("node", "line"),
    [("whole", rf"{BIG['uuid']}\]\s+300 / 23034 MiB"), ("shared", rf"{SHARED['uuid']}#007\]\s+unknown")],
)
def test_the_nomad_program_prints_the_statistics_of_the_cards(
    cluster: NomadCluster, node: str, line: str
) -> None:
    client = cluster.clients[node]
    command = [nomad_program(), "node", "status", "-stats", "-address", client.address, client.node_id]

    def has_printed() -> bool:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        return re.search(line, process.stdout) is not None

    eventually(has_printed, f"{line} in the output of {' '.join(command)}", 10)


def test_a_task_that_needs_16_gib_gets_the_card_that_has_it(
    cluster: NomadCluster, whole: NomadClient, submit: Callable[..., str]
) -> None:
    found = environment(whole, running(cluster, submit("needs-16", memory="16 GiB")))
    assert found["NVIDIA_VISIBLE_DEVICES"] == found["CUDA_VISIBLE_DEVICES"] == BIG["uuid"]
    assert "SOUNDSTAGE_VRAM_MIB" not in found


def test_the_job_of_the_guide_runs_as_it_stands_there(cluster: NomadCluster, tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "gpu-nodes.md"
    (job,) = re.findall(r"^```hcl\n(job .*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "job.nomad.hcl"
    file.write_text(job)
    command = [nomad_program(), "job", "run", "-detach", "-address", cluster.server.address, str(file)]
    subprocess.run(command, check=True, capture_output=True)
    (name,) = re.findall(r'^job "(.*)"', job)
    eventually(
        lambda: [one["ClientStatus"] for one in cluster.allocations(name)] == ["complete"],
        "the job to end",
        LAG_S,
    )


def test_two_tasks_share_one_card_each_with_its_grant_and_a_third_waits(
    cluster: NomadCluster, node_of_shared_cards: NomadClient, submit: Callable[..., str]
) -> None:
    card = str(SHARED["uuid"])
    expected = {"speech": 2, "lips": 5}
    for name, count in expected.items():
        submit(name, count, pool="gpu-shared", uuid=card)
        found = environment(node_of_shared_cards, running(cluster, name))
        assert (found["CUDA_VISIBLE_DEVICES"], found["SOUNDSTAGE_VRAM_MIB"]) == (card, str(count * 1024))
    running(cluster, submit("other-card", 8, pool="gpu-shared"))
    submit("third", 3, pool="gpu-shared")
    evaluations = eventually(
        lambda: [
            one for one in cluster.server.get("/v1/job/third/evaluations") if one["Status"] == "blocked"
        ],
        "the third job to be blocked",
        LAG_S,
    )
    assert "devices" in json.dumps(evaluations[0]["FailedTGAllocs"])
    cluster.server.delete("/v1/job/speech?purge=true")
    found = environment(node_of_shared_cards, running(cluster, "third"))
    assert (found["CUDA_VISIBLE_DEVICES"], found["SOUNDSTAGE_VRAM_MIB"]) == (card, "3072")


def test_cards_that_vanish_or_fail_leave_the_list_and_their_tasks_run_on(
    cluster: NomadCluster, whole: NomadClient, submit: Callable[..., str]
) -> None:
    allocation = running(cluster, submit("long", memory="16 GiB"))
    whole.cards.remove(str(SMALL["uuid"]))
    whole.cards.change(str(BIG["uuid"]), fault="fell off the bus", memory_mib=8192)

    def read_devices() -> dict[str, Any]:
        return {name: group["instances"] for name, group in cluster.devices(whole).items()}

    eventually(
        lambda: read_devices() == {"NVIDIA L4": {BIG["uuid"]: False}},
        "the server to see both faults",
        LAG_S,
    )
    node = cluster.server.get(f"/v1/node/{whole.node_id}")
    (instance,) = node["NodeResources"]["Devices"][0]["Instances"]
    assert instance["HealthDescription"] == "fell off the bus"
    assert cluster.devices(whole)["NVIDIA L4"]["attributes"]["memory"] == 8192
    assert running(cluster, "long")["ID"] == allocation["ID"]
    submit("waits", memory="16 GiB")
    whole.cards.set([BIG, SMALL])
    cluster.server.delete("/v1/job/long?purge=true")
    found = environment(whole, running(cluster, "waits"))
    assert found["CUDA_VISIBLE_DEVICES"] == BIG["uuid"]


def test_a_card_that_fails_is_given_to_no_task_even_before_the_server_knows(
    cluster: NomadCluster, whole: NomadClient, submit: Callable[..., str]
) -> None:
    whole.cards.change(str(BIG["uuid"]), fault="double-bit error")
    time.sleep(
        1.2
    )  # the plugin knows after its period; the server within seconds, with the client's next batch
    submit("too-early", memory="16 GiB")

    def is_refused() -> bool:
        events = json.dumps([one["TaskStates"] for one in cluster.allocations("too-early")])
        return "is faulty: double-bit error" in events

    def is_queued() -> bool:
        evaluations = cluster.server.get("/v1/job/too-early/evaluations")
        return not cluster.allocations("too-early") and any(one["Status"] == "blocked" for one in evaluations)

    # Nearly always refused: the batch leaves 5 s after a change or later.
    eventually(lambda: is_refused() or is_queued(), "the plugin to refuse or the server to know", LAG_S)


def test_a_killed_plugin_is_started_again_and_serves_the_next_task(
    cluster: NomadCluster, whole: NomadClient, submit: Callable[..., str]
) -> None:
    (pid,) = whole.plugin_pids()
    os.kill(pid, signal.SIGKILL)
    submit("after-the-kill", memory="16 GiB")
    found = environment(whole, running(cluster, "after-the-kill"))
    assert found["CUDA_VISIBLE_DEVICES"] == BIG["uuid"]
    assert eventually(lambda: whole.plugin_pids(), "a new plugin", 60) != [pid]


def test_a_plugin_that_starts_with_a_broken_file_keeps_its_cards_in_sight_as_faulty(
    cluster: NomadCluster, whole: NomadClient
) -> None:
    whole.cards.path.write_text("[{")
    (pid,) = whole.plugin_pids()
    os.kill(pid, signal.SIGKILL)

    def health() -> dict[str, bool]:
        return {
            uuid: ok for group in cluster.devices(whole).values() for uuid, ok in group["instances"].items()
        }

    both = {str(BIG["uuid"]), str(SMALL["uuid"])}
    eventually(lambda: health() == dict.fromkeys(both, False), "both cards to be faulty", LAG_S)
    whole.cards.set([BIG, SMALL])
    eventually(lambda: health() == dict.fromkeys(both, True), "both cards to be well again", LAG_S)


def test_the_check_against_the_server_finds_nothing_when_all_is_well_and_a_stopped_plugin(
    cluster: NomadCluster, whole: NomadClient
) -> None:
    def compare(patience_s: float) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("gpu-device-plugin")
        arguments = ["compare", "--state-dir", str(whole.plugin_state), "--patience", str(patience_s)]
        return subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "NOMAD_ADDR": whole.address},
            check=False,
        )

    well = compare(LAG_S)
    assert (well.returncode, well.stdout) == (0, "")
    (pid,) = whole.plugin_pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        whole.cards.path.write_text("[]")
        status = json.loads((whole.plugin_state / "status.json").read_text())
        status["written_at"] = "2020-01-01T00:00:00+00:00"  # instead of half a minute of waiting
        (whole.plugin_state / "status.json").write_text(json.dumps(status))
        stopped = compare(0)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert stopped.returncode == 1
    assert f"the plugin (process {pid}) has been silent" in stopped.stdout


def test_a_bad_configuration_neither_stops_the_node_nor_shows_cards(cluster: NomadCluster) -> None:
    wrong = cluster.add_client("wrong", [BIG], plugin={"share_mib": 512})
    process = "share_mib must be 0 (whole cards) or 1024"
    eventually(lambda: process in wrong.log(), "the log to say what is wrong", LAG_S)
    file = wrong.plugin_state / "status.json"
    eventually(file.exists, "the plugin to write its status", LAG_S)
    assert "share_mib" in json.loads(file.read_text())["problem"]
    assert cluster.devices(wrong) == {}
    wrong.stop()


def test_a_killed_agent_leaves_no_plugin_and_its_successor_finds_cards_and_task_again(
    cluster: NomadCluster, whole: NomadClient, submit: Callable[..., str]
) -> None:
    allocation = running(cluster, submit("survivor", memory="16 GiB"))
    whole.kill()
    eventually(lambda: whole.plugin_pids() == [], "the plugin to leave with its agent", 60)
    started = time.monotonic()
    whole.start()
    assert time.monotonic() - started < 45
    cluster.wait_until_ready(whole)
    eventually(
        lambda: cluster.devices(whole)["NVIDIA L4"]["instances"] == {BIG["uuid"]: True},
        "the card to be back",
        LAG_S,
    )
    again = running(cluster, "survivor")
    assert again["ID"] == allocation["ID"]
    events = [event["Type"] for event in again["TaskStates"]["work"]["Events"]]
    assert events.count("Started") == 1, events
