"""The exercises of a drill: a fault, what shall be noticed, and when the farm is whole again (called by
`rehearse`).

All run on a plain Nomad and Consul (lab/cluster) that carries one job with a task per client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.cluster.api import ClusterApi
from lab.farm_in_a_box import Lab
from lab.plan import LabPlan

JOB = "drill"


@dataclass(frozen=True, slots=True)
class Scene:
    """What an exercise works with: a lab whose cluster is whole, and the machine that fails."""

    lab: Lab
    cluster: ClusterApi
    machine: str
    tasks: int

    def running_on(self) -> list[str]:
        """The machine of each task that the server believes to be running."""
        found = self.cluster.nomad("GET", f"/v1/job/{JOB}/allocations")
        return [
            one["NodeName"]
            for one in found
            if one["ClientStatus"] == "running" and one["DesiredStatus"] == "run"
        ]

    def state(self) -> str:
        return self.cluster.node_states().get(self.machine, "unknown")

    def is_whole(self) -> bool:
        states = self.cluster.node_states()
        return all(state == "ready" for state in states.values()) and len(self.running_on()) == self.tasks

    def elsewhere(self) -> bool:
        running = self.running_on()
        return len(running) == self.tasks and self.machine not in running

    def cards_are_well(self) -> bool:
        node = next(
            one["ID"] for one in self.cluster.nomad("GET", "/v1/nodes") if one["Name"] == self.machine
        )
        groups = self.cluster.nomad("GET", f"/v1/node/{node}")["NodeResources"]["Devices"] or []
        return all(one["Healthy"] for group in groups for one in group["Instances"])

    def can_write(self) -> bool:
        done = self.lab.run(
            self.machine, ["dd", "if=/dev/zero", "of=/var/tmp/drill", "bs=64k", "count=4", "conv=fsync"]
        )
        return done.returncode == 0


@dataclass(frozen=True, slots=True)
class Exercise:
    """`noticed`: true when what `expected` says can be seen. `on`: picks the machine, None when there is no
    fit one."""

    name: str
    fault: str
    expected: str
    on: Callable[[LabPlan], str | None]
    noticed: Callable[[Scene], Any]
    whole: Callable[[Scene], Any] = Scene.is_whole


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
    """The server is away: its clients run on by themselves."""
    client = _client(scene.lab.plan)
    if client is None:
        return False
    done = scene.lab.run(client, ["pgrep", "--full", "soundstage-drill-task"])
    return done.returncode == 0


EXERCISES = (
    Exercise(
        "cable",
        "network",
        "the machine is missed and its work goes on elsewhere",
        _client_with_peer,
        Scene.elsewhere,
    ),
    Exercise(
        "power",
        "power",
        "the machine is missed and its work goes on elsewhere",
        _client_with_peer,
        Scene.elsewhere,
    ),
    Exercise("reset", "reset", "the machine comes back by itself and works again", _client, Scene.is_whole),
    Exercise(
        "card",
        "card-dead",
        "the server counts the card as faulty, and places nothing on it",
        _client_with_card,
        lambda scene: not scene.cards_are_well(),
        lambda scene: scene.cards_are_well() and scene.is_whole(),
    ),
    Exercise(
        "full-disk",
        "disk-full",
        "writes fail on this machine; all tasks run on",
        _client,
        lambda scene: not scene.can_write() and len(scene.running_on()) == scene.tasks,
        lambda scene: scene.can_write() and scene.is_whole(),
    ),
    Exercise(
        "slow-disk",
        "disk-slow",
        "the server answers, and all tasks run on",
        _server,
        Scene.is_whole,
    ),
    Exercise("clock", "clock", "the machine stays ready, and its task runs on", _client, Scene.is_whole),
    Exercise(
        "server",
        "power",
        "tasks run on without the server",
        _server,
        _work_survives,
    ),
)
