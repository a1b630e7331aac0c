"""Times Ansible for a farm in the lab, ours against plain settings in one run (as root).

    sudo scripts/bench role_runs [--machines N] [--runs N] [--bare-plain]

Machines are converged from bare, then each way converges the same ready machines, so that only the way of
working differs: `plain` is Ansible's own defaults (no pipelining, temporary files) and all steps of all
roles, `settings` the same steps with ansible.cfg, `ours` is `ansible-playbook playbook.yaml` (roles compare
first). `--bare-plain` converges bare machines of a second lab the plain way. Last come the seconds that
machines spent in each role.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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

from farm_in_lab import ANSIBLE, write_inventory

from bench.results import add_figure, add_json_option, write_figures
from lab.farm_in_a_box import Lab
from lab.plan import machines_named

ROOT = Path(__file__).resolve().parents[1]
# Roles with much to download, or for cards that these machines do not have.
LEFT_OUT = ("worker", "models", "gpu", "docker", "backup", "health")
PLAIN = {
    "ANSIBLE_PIPELINING": "False",
    "ANSIBLE_CACHE_PLUGIN": "memory",
    "ANSIBLE_FORKS": "5",
    "ANSIBLE_PYTHON_INTERPRETER": "auto_silent",
}


@dataclass(frozen=True)
class Way:
    """One way of running the same playbook."""

    name: str
    program: Path
    environment: dict[str, str]
    compares: bool = True


@dataclass(frozen=True)
class Measured:
    """Seconds by the wall clock, the controller's processor-seconds, and what machines spent in each role.

    Processor-seconds tell more than the clock where the computer has other work too.
    """

    wall_s: float
    controller_s: float
    roles: dict[str, dict[str, Any]]


WAYS = (
    Way("plain", ANSIBLE / "ansible-playbook", PLAIN, compares=False),
    Way("settings", ANSIBLE / "ansible-playbook", {}, compares=False),
    Way("ours", ANSIBLE / "ansible-playbook", {}),
)


class BenchFarm:
    """A lab of bare machines and its inventory."""

    def __init__(self, name: str, machines: int, folder: Path, programs: dict[str, Path]) -> None:
        names = ["control-1", *(f"cpu-{number}" for number in range(1, machines))]
        self.lab = Lab(name)
        self.lab.down()
        self.lab.up(machines_named(names), groups={"control": names[:1], "workers": names[1:]})
        self._roles = folder / f"{name}-roles.json"
        variables = {"farm__secrets": f"{folder}/{name}-secrets", "ssh_hardening__authorized_keys": "keep"}
        self._inventory = write_inventory(folder / f"{name}-inventory", self.lab, programs, variables)

    def converge(self, way: Way) -> Measured:
        command = [
            str(way.program),
            "-i",
            str(self._inventory),
            "playbook.yaml",
            "--skip-tags",
            ",".join(LEFT_OUT),
            "-e",
            json.dumps({"farm__compare": way.compares}),
        ]
        environment = {
            **self.lab.environment(),
            **way.environment,
            "ANSIBLE_CALLBACKS_ENABLED": "soundstage.farm.role_seconds",
            "SOUNDSTAGE_ROLE_SECONDS": str(self._roles),
        }
        start, before = time.monotonic(), _controller_s()
        done = subprocess.run(
            self.lab.entering(command), cwd=ROOT, env=environment, capture_output=True, text=True
        )
        wall_s = time.monotonic() - start
        if done.returncode != 0:
            raise SystemExit(f"{way.name}: the playbook failed\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
        return Measured(wall_s, _controller_s() - before, json.loads(self._roles.read_text()))


def main() -> None:
    arguments = _arguments()
    built = subprocess.run(
        [ROOT / "tools/build", "nomad", "consul"], capture_output=True, text=True, check=True
    )
    programs = {name: Path(path) for name, path in (line.split("\t") for line in built.stdout.splitlines())}
    print(f"{arguments.machines} machines, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="bench-ansible-") as folder:
        if arguments.bare_plain:
            farm = BenchFarm("bench-ansible-plain", arguments.machines, Path(folder), programs)
            try:
                print(f"bare machines, plain        {farm.converge(WAYS[0]).wall_s:7.1f} s", flush=True)
            finally:
                farm.lab.down()
        farm = BenchFarm("bench-ansible", arguments.machines, Path(folder), programs)
        try:
            bare = farm.converge(Way("ours", ANSIBLE / "ansible-playbook", {}))
            print(f"bare machines, ours         {bare.wall_s:7.1f} s", flush=True)
            ready: dict[str, list[Measured]] = {way.name: [] for way in WAYS}
            for _ in range(arguments.runs):  # in turns, so that a busy minute hits all ways
                for way in WAYS:
                    ready[way.name].append(farm.converge(way))
        finally:
            farm.lab.down()
    walls = {name: median(one.wall_s for one in runs) for name, runs in ready.items()}
    for name, runs in ready.items():
        gain = f"{walls['plain'] / walls[name]:4.1f}x"
        if name == "ours":
            ratio = walls["plain"] / walls[name]
            add_figure("ready machines, ours; plain Ansible", walls[name], "s", goal="ratio ≥ 3", ratio=ratio)
        controller_s = median(one.controller_s for one in runs)
        print(f"ready machines, {name:<11} {walls[name]:7.1f} s   {gain}   controller {controller_s:5.1f} s")
    add_figure("bare machines, ours", bare.wall_s, "s")
    write_figures("machines", arguments.json)
    print("\nmachine-seconds per role        bare" + "".join(f"{name:>10}" for name in ready))
    for role, counted in bare.roles.items():
        again = [median(_seconds(one, role) for one in runs) for runs in ready.values()]
        line = "".join(f"{seconds:10.1f}" for seconds in again)
        print(f"  {role:<26} {counted['machine_seconds']:7.1f}{line}")


def _controller_s() -> float:
    """Processor-seconds of the programs that have ended: Ansible, its workers and the SSH of single steps."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds(measured: Measured, role: str) -> float:
    return float(measured.roles.get(role, {"machine_seconds": 0.0})["machine_seconds"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How long Ansible takes, our way and the plain way.")
    parser.add_argument("--machines", type=int, default=3, help="the first one is the control machine")
    parser.add_argument("--runs", type=int, default=3, help="of each way on the ready machines")
    parser.add_argument("--bare-plain", action="store_true", help="converge bare machines the plain way too")
    add_json_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
