"""The exercises of a drill: a fault, how it is noticed, and when the farm has recovered (called by
`rehearse`).

All run on a plain Nomad and Consul (lab/cluster) that carries one job with a task per client.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.cluster.api import ClusterApi
from lab.farm_in_a_box import Lab
from lab.faults.clock import AHEAD_S
from lab.plan import LabPlan


@dataclass(frozen=True, slots=True)
class Scene:
    """The inputs of an exercise: a lab whose cluster is healthy, and the machine that fails. `job`: its work;
    `boot_id`: of that machine, before the fault."""

    lab: Lab
    cluster: ClusterApi
    machine: str
    job: str
    tasks: int
    boot_id: str

    def count_tasks(self) -> dict[str, int]:
        """Returns the number of tasks that the server lists as running, by machine."""
        found = self.cluster.nomad("GET", f"/v1/job/{self.job}/allocations")
        return Counter(
            one["NodeName"]
            for one in found
            if one["ClientStatus"] == "running" and one["DesiredStatus"] == "run"
        )

    def count_processes(self, machine: str) -> int:
        """Counts the tasks whose processes run, whatever the server reports; -1 when the machine does not
        answer.
        """
        done = self.lab.run(machine, ["pgrep", "--full", "--count", f"^{self.job}-task"])
        return int(done.stdout) if done.stdout.strip().isdigit() else -1

    def all_tasks_run(self) -> bool:
        """Returns whether all tasks run, by the server's list and by their processes."""
        reported = self.count_tasks()
        return sum(reported.values()) == self.tasks and all(
            self.count_processes(machine) >= count for machine, count in reported.items()
        )

    def all_tasks_run_elsewhere(self) -> bool:
        return self.count_tasks().get(self.machine, 0) == 0 and self.all_tasks_run()

    def is_recovered(self) -> bool:
        return all(state == "ready" for state in self.cluster.node_states().values()) and self.all_tasks_run()

    def has_rebooted(self) -> bool:
        return boot_id(self.lab, self.machine) not in ("", self.boot_id)

    def cards_are_healthy(self) -> bool:
        """Returns whether Nomad lists all NVIDIA cards of the machine, and each as healthy."""
        nodes = self.cluster.nomad("GET", "/v1/nodes")
        node = next(one["ID"] for one in nodes if one["Name"] == self.machine)
        groups = self.cluster.nomad("GET", f"/v1/node/{node}")["NodeResources"]["Devices"] or []
        # A card that shares its memory has several instances: `UUID#1`, `UUID#2` …
        listed = {one["ID"].partition("#")[0] for group in groups for one in group["Instances"]}
        machine = next(one for one in self.lab.plan.machines if one.name == self.machine)
        return listed >= {card.uuid for card in machine.cards if card.is_nvidia} and all(
            one["Healthy"] for group in groups for one in group["Instances"]
        )

    def can_write(self) -> bool:
        write = ["dd", "if=/dev/zero", "of=/var/tmp/drill", "bs=64k", "count=4", "conv=fsync"]
        return self.lab.run(self.machine, write).returncode == 0

    def accepts_writes(self) -> bool:
        """Returns whether the server can still commit writes to its log."""
        return bool(self.cluster.nomad("POST", f"/v1/job/{self.job}/evaluate", {"JobID": self.job})["EvalID"])

    def clock_is_wrong(self) -> bool:
        output = self.lab.run(self.machine, ["date", "+%s"]).stdout.strip()
        return output.isdigit() and abs(int(output) - time.time()) > AHEAD_S / 2


def boot_id(lab: Lab, machine: str) -> str:
    """Another one after each boot; empty when the machine does not answer."""
    return lab.run(machine, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()


@dataclass(frozen=True, slots=True)
class Exercise:
    """`is_noticed`: true when the farm shows what `expected` says. `pick_machine`: None when no
    machine fits.
    """

    name: str
    fault: str
    expected: str
    pick_machine: Callable[[LabPlan], str | None]
    is_noticed: Callable[[Scene], Any]
    is_recovered: Callable[[Scene], Any] = Scene.is_recovered


def _server(plan: LabPlan) -> str | None:
    return next((one.name for one in plan.machines if one.role == "server"), None)


def _client(plan: LabPlan) -> str | None:
    return next((one.name for one in plan.machines if one.role == "client"), None)


def _client_with_peer(plan: LabPlan) -> str | None:
    """One whose work another can take over."""
    clients = [one.name for one in plan.machines if one.role == "client"]
    return clients[0] if len(clients) > 1 else None


def _client_with_card(plan: LabPlan) -> str | None:
    return next((one.name for one in plan.machines if one.role == "client" and one.cards), None)


def _work_survives(scene: Scene) -> bool:
    """The server is away, and its clients run on by themselves."""
    clients = [one.name for one in scene.lab.plan.machines if one.role == "client"]
    return (
        not scene.lab.is_on(scene.machine)
        and sum(max(scene.count_processes(one), 0) for one in clients) >= scene.tasks
    )


EXERCISES = (
    Exercise(
        "cable", "network", "its work goes on elsewhere", _client_with_peer, Scene.all_tasks_run_elsewhere
    ),
    Exercise(
        "power", "power", "its work goes on elsewhere", _client_with_peer, Scene.all_tasks_run_elsewhere
    ),
    Exercise(
        "reset",
        "reset",
        "the machine comes back by itself, and all tasks run",
        _client,
        lambda scene: scene.has_rebooted() and scene.is_recovered(),
    ),
    Exercise(
        "card",
        "card-dead",
        "the server counts the card as faulty",
        _client_with_card,
        lambda scene: not scene.cards_are_healthy(),
        lambda scene: scene.cards_are_healthy() and scene.is_recovered(),
    ),
    Exercise(
        "full-disk",
        "disk-full",
        "writes fail on this machine, and all tasks run on",
        _client,
        lambda scene: not scene.can_write() and scene.all_tasks_run(),
        lambda scene: scene.can_write() and scene.is_recovered(),
    ),
    Exercise(
        "slow-disk",
        "disk-slow",
        "the server still decides, and all tasks run on",
        _server,
        lambda scene: scene.accepts_writes() and scene.all_tasks_run(),
    ),
    Exercise(
        "clock",
        "clock",
        "the machine stays in the farm, and all tasks run on",
        _client,
        lambda scene: scene.clock_is_wrong() and scene.is_recovered(),
        lambda scene: not scene.clock_is_wrong() and scene.is_recovered(),
    ),
    Exercise("server", "power", "all tasks run on without the server", _server, _work_survives),
)
