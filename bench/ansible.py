"""How long the playbook takes, with our settings and with plain ones: `bench/ansible.py`, as root.

Boots machines in the lab for each setting, converges them once from bare and then again while they are ready,
and prints wall clock, ratio, and machine-seconds of each role. All runs have the same roles; what differs is how
Ansible reaches the machines.

plain: Ansible's defaults: no pipelining, five machines at once, facts of each machine at the start of a play.
ours:  ansible.cfg of this project.
fast:  ours with Mitogen, where it is installed (ansible/pyproject.toml, extra `fast`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ansible"))

from farm_in_lab import ANSIBLE, run_ansible, write_inventory

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named

ROOT = Path(__file__).resolve().parents[1]
# What stays the same: where things are, and that nobody is asked about host keys.
PLAIN = """[defaults]
roles_path = {root}/ansible/roles
collections_path = {root}/ansible/collections
"""
MITOGEN = {"ANSIBLE_STRATEGY": "mitogen_linear"}


@dataclass(frozen=True)
class Setting:
    """A name and the variables of the environment that make it."""

    name: str
    environment: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """Seconds by the wall clock, and machine-seconds by role."""

    wall_s: float
    roles: dict[str, dict[str, Any]]


class Bench:
    """One lab at a time; `folder` keeps what belongs to a run."""

    def __init__(self, folder: Path, machines: int, tags: str, play: str) -> None:
        self._folder = folder
        self._names = ["control-1", *(f"worker-{number}" for number in range(1, machines))]
        self._tags = tags
        self._play = play
        built = subprocess.run(
            [ROOT / "tools" / "build", "nomad", "consul"], capture_output=True, text=True, check=True
        )
        self._engines = {
            name: Path(path) for name, path in (line.split("\t") for line in built.stdout.splitlines())
        }

    def settings(self) -> list[Setting]:
        plain = self._folder / "plain.cfg"
        plain.write_text(PLAIN.format(root=ROOT))
        found = [
            Setting("plain", {"ANSIBLE_CONFIG": str(plain), "ANSIBLE_GATHERING": "implicit"}),
            Setting("ours", {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}),
        ]
        mitogen = sorted(ANSIBLE.parent.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy"))
        if mitogen:
            environment = {**found[-1].environment, **MITOGEN, "ANSIBLE_STRATEGY_PLUGINS": str(mitogen[0])}
            found.append(Setting("fast", environment))
        return found

    def measure(self, setting: Setting, ready_runs: int) -> tuple[Measured, Measured]:
        """From bare, and the median of some runs on ready machines."""
        lab = Lab(f"bench-ansible-{setting.name}")
        lab.down()
        workers = self._names[1:]
        lab.up(
            machines_named(self._names, read_gpus("0,1")),
            groups={"control": self._names[:1], "workers": workers},
        )
        try:
            home = self._folder / setting.name
            home.mkdir()
            inventory = write_inventory(
                home / "inventory",
                lab,
                self._engines,
                {
                    "farm__secrets": str(home / "secrets"),
                    "ssh_hardening__authorized_keys": "keep",
                    "gpu__driver_source": "preinstalled",
                    "gpu__kernel_log": "/opt/soundstage-lab/gpu/kernel.log",
                    "gpu__memory_test_mib": 0,
                    "nomad__memory_total_mib": 2048,
                },
            )
            first = self._run(lab, setting, inventory, home)
            again = [self._run(lab, setting, inventory, home) for _ in range(ready_runs)]
        finally:
            lab.down()
        middle = median(one.wall_s for one in again)
        return first, next((one for one in again if one.wall_s == middle), again[0])

    def _run(self, lab: Lab, setting: Setting, inventory: Path, home: Path) -> Measured:
        times = home / "roles.json"
        environment = {
            **lab.environment(),
            **setting.environment,
            "ANSIBLE_INVENTORY": str(inventory),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(home / "facts"),
            "ANSIBLE_CALLBACKS_ENABLED": "soundstage.farm.role_seconds",
            "SOUNDSTAGE_ROLE_SECONDS": str(times),
        }
        start = time.monotonic()
        done = run_ansible(
            "ansible-playbook", [self._play, "--tags", self._tags], environment, lab.entering([])
        )
        wall_s = time.monotonic() - start
        if done.status != 0:
            raise SystemExit(f"{setting.name}: the playbook failed:\n{done.output[-3000:]}")
        return Measured(wall_s, json.loads(times.read_text()))


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-ansible-") as folder:
        bench = Bench(Path(folder), arguments.machines, arguments.tags, arguments.playbook)
        measured = {}
        for setting in bench.settings():
            measured[setting.name] = bench.measure(setting, arguments.ready_runs)
            first, ready = measured[setting.name]
            print(f"{setting.name:<6} bare {first.wall_s:7.1f} s   ready {ready.wall_s:7.1f} s", flush=True)
    plain_first, plain_ready = measured["plain"]
    print()
    for name, (first, ready) in measured.items():
        if name != "plain":
            print(
                f"{name:<6} against plain: bare {plain_first.wall_s / first.wall_s:.1f}x,"
                f" ready {plain_ready.wall_s / ready.wall_s:.1f}x"
            )
    print("\nmachine-seconds per role (ours)     bare     ready")
    first, ready = measured["ours"]
    for role, counted in first.roles.items():
        again = ready.roles.get(role, {"machine_seconds": 0.0})
        print(f"  {role:<30} {counted['machine_seconds']:8.1f} {again['machine_seconds']:9.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="How long the playbook takes, and how much of it is Ansible's way."
    )
    parser.add_argument("--machines", type=int, default=3, help="the first one is the control machine")
    parser.add_argument("--ready-runs", type=int, default=3)
    parser.add_argument(
        "--tags",
        default="common,ssh,consul,gpu,nomad,health",
        help="roles; without `worker`, whose first run is pip's own time",
    )
    parser.add_argument("--playbook", default=str(ROOT / "playbook.yaml"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
