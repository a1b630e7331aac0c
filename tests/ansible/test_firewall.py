"""The firewall of the role common on a real farm: reachable ports by source, and the refusal of a lock-out.

The tests run on the farm of test_farm.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest
from farm_in_lab import LabFarm
from journey_inputs import FARM

from lab.network import BRIDGE

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200), pytest.mark.cached(*FARM)]
WORKERS = {"cpu-1", "gpu-1", "gpu-2"}
STRANGER = "10.77.0.250"
CONTROL, WORKER = "10.77.0.11", "10.77.0.13"
# SSH, network boot, Nomad, studio, provisioning API, Consul, its DNS, Prometheus, metrics, journals, tasks.
PORTS = (22, 80, 4646, 4647, 4648, 8000, 8001, 8002, 8300, 8301, 8302, 8501, 8600, 9090, 9100, 19532, 20001)
PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
target, source, ports = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
def probe(port):
    try:
        socket.create_connection((target, port), 2, (source, 0)).close()
        return "answers"
    except ConnectionRefusedError:
        return "open"
    except TimeoutError:
        return "closed"
with ThreadPoolExecutor(len(ports)) as pool:
    print(json.dumps(list(pool.map(probe, ports))))
"""


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    """Nothing to do when the tests before have made the farm."""
    if farm.takes_work(CONTROL) != WORKERS:
        farm.converge()
    return farm


@pytest.fixture
def stranger(ready: LabFarm) -> Iterator[str]:
    """Another machine of the same wire, which is none of the farm's."""
    for verb in ("add", "del"):
        if verb == "del":
            yield STRANGER
        command = ready.lab.entering(["ip", "address", verb, f"{STRANGER}/24", "dev", BRIDGE])
        subprocess.run(command, check=True)


def probe_ports(run: Callable[[list[str]], str], target: str, source: str = "") -> dict[str, set[int]]:
    """Returns the ports of `target` by what happens: `answers`, `open` without a program, `closed`."""
    found = json.loads(run(["python3", "-c", PROBE, target, source, json.dumps(PORTS)]))
    by_answer: dict[str, set[int]] = {name: set() for name in ("answers", "open", "closed")}
    for port, answer in zip(PORTS, found, strict=True):
        by_answer[answer].add(port)
    return by_answer


def machine(farm: LabFarm, name: str) -> Callable[[list[str]], str]:
    return lambda command: farm.on(name, *command).stdout


def beside(farm: LabFarm) -> Callable[[list[str]], str]:
    """From the lab's network, where Ansible runs."""

    def run(command: Sequence[str]) -> str:
        done = subprocess.run(farm.lab.entering(list(command)), capture_output=True, text=True, check=True)
        return done.stdout

    return run


def test_each_machine_reaches_what_it_needs_and_nothing_else(ready: LabFarm, stranger: str) -> None:
    worker, control, outside = machine(ready, "cpu-1"), machine(ready, "control-1"), beside(ready)
    found = {
        "worker to control": probe_ports(worker, CONTROL),
        "worker to worker": probe_ports(worker, WORKER),
        "control to worker": probe_ports(control, WORKER),
        "controller to control": probe_ports(outside, CONTROL, "10.77.0.1"),
        "controller to worker": probe_ports(outside, WORKER, "10.77.0.1"),
        "stranger to control": probe_ports(outside, CONTROL, stranger),
        "stranger to worker": probe_ports(outside, WORKER, stranger),
    }
    for path, ports in found.items():
        print(f"{path:<22}", *(f"{name} {sorted(some)}" for name, some in ports.items()))

    assert {path: sorted(ports["answers"]) for path, ports in found.items()} == {
        "worker to control": [4647, 8300, 8301],
        "worker to worker": [8301],
        "control to worker": [22, 4646, 8301],
        "controller to control": [22, 4646, 8501],
        "controller to worker": [22],
        "stranger to control": [],
        "stranger to worker": [],
    }
    # Open for metrics and tasks, of which none listens on this farm.
    assert {path for path, ports in found.items() if ports["open"]} == {"control to worker"}
    assert found["control to worker"]["open"] == {9100, 20001}


def test_a_run_that_would_shut_itself_out_is_refused_before_it_changes_anything(ready: LabFarm) -> None:
    before = ready.on("cpu-1", "nft", "list", "table", "inet", "soundstage").stdout
    done = ready.play("--tags", "common", "--limit", "cpu-1", common__ssh_from=["192.0.2.0/24"])
    assert done.status != 0
    assert "common__ssh_from is 192.0.2.0/24, and this run comes from 10.77.0.1." in done.said()
    assert done.changed() == 0
    assert ready.on("cpu-1", "nft", "list", "table", "inet", "soundstage").stdout == before
