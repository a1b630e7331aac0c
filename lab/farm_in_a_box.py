"""Facade of the lab: one lab as one object. The CLI, pytest fixtures and Molecule use it.

lab = Lab("mine")
lab.up(machines_named(["control", "gpu-1"], read_gpus("0,2")))
lab.run("gpu-1", ["systemctl", "is-system-running"])
lab.down()
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.api import ClusterApi
from lab.cluster.software import build_engines, make_cluster_layer, pack_plugin
from lab.control_groups import keepers_group, make_lab_groups
from lab.faults import Fault, active_faults, clear_fault, inject_fault
from lab.inventory import write_inventories
from lab.layers import require_layers
from lab.machines import (
    boots,
    console_command,
    is_running,
    is_ssh_up,
    make_machine,
    start_machine,
    stop_machine,
    wait_for_ssh,
)
from lab.network import make_network
from lab.paths import LABS, LabPaths, cache_folder
from lab.plan import GATEWAY, PROXY_PORT, LabPlan, MachinePlan, farm_groups, read_plan
from lab.programs import start_program
from lab.requirements import require_lab
from lab.root_tree import make_root_tree
from lab.ssh_access import enter_command, make_lab_key, ssh_command, write_ssh_config
from lab.teardown import remove_machine, take_down
from pxe.image.debian import PYTHON_OF, SUITE, mirror_of_this_computer
from soundstage.errors import Conflict, Unavailable

_PROGRAM = Path(__file__).parent / "package_proxy.py"


def silent(_: str) -> None:
    """Ignores the progress of long steps."""


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """A machine as it is now. `boots`: the count since it was created; `ssh`: its SSH server answers."""

    name: str
    address: str
    cards: int
    running: bool
    ssh: bool
    boots: int
    faults: tuple[str, ...]


class Lab:
    """One lab, by its name. Several may be up at once, with the same addresses in separate namespaces."""

    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self.paths = LabPaths(name)

    @property
    def plan(self) -> LabPlan:
        """The plan of the lab. Raises NotFound when the lab is not up."""
        return read_plan(self.paths.plan, self.name)

    def exists(self) -> bool:
        """Returns whether the lab exists, also when it was only partly created or removed."""
        return self.paths.folder.exists()

    def up(
        self,
        machines: Iterable[MachinePlan],
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        layers: Sequence[str] = (),
        allowed_hosts: Sequence[str] = (),
        own_engines: bool = False,
        suite: str = SUITE,
        say: Callable[[str], None] = silent,
    ) -> float:
        """Creates and boots all machines. Returns the seconds until SSH of the last machine is up, without
        building the root tree, Nomad and Consul. Removes a partly created lab when it fails.

        `groups`: the groups of the inventory; by default those of the playbooks (`farm_groups`).
        `own_engines`: playbooks install the Nomad and Consul that `tools/build` makes.
        `suite`: the Debian of its machines, one of `pxe.image.debian.PYTHON_OF`.
        """
        require_lab()
        if self.exists():
            raise Conflict(
                "lab.exists",
                f"The lab “{self.name}” is there already.",
                f"`soundstage lab down --name {self.name}` takes it away.",
            )
        root_tree = make_root_tree(say, suite)
        require_layers(root_tree, tuple(layers))
        plans = tuple(machines)
        engines = build_engines() if own_engines else {}
        if own_engines and any(one.nvidia_cards for one in plans):
            pack_plugin(
                PYTHON_OF[suite]
            )  # here, since no package index can be reached from the lab's network
        chosen = farm_groups(plans) if groups is None else groups
        plan = LabPlan(
            name=self.name,
            machines=plans,
            groups={group: tuple(members) for group, members in chosen.items()},
            root_tree=root_tree,
            layers=tuple(layers),
            allowed_hosts=tuple(allowed_hosts),
            engines={name: str(path) for name, path in engines.items()},
        )
        start = time.monotonic()
        try:
            self._make(plan)
            # Without machines there is only the network; QEMU machines join it later.
            with ThreadPoolExecutor(max(1, len(plan.machines))) as pool:
                list(pool.map(lambda one: wait_for_ssh(self.paths, one), plan.machines))
        except BaseException:
            take_down(self.paths)
            raise
        return time.monotonic() - start

    def up_cluster(
        self,
        machines: Sequence[MachinePlan],
        *,
        layers: Sequence[str] = (),
        allowed_hosts: Sequence[str] = (),
        suite: str = SUITE,
        say: Callable[[str], None] = silent,
    ) -> float:
        """`up`, with a plain Nomad and Consul: the first machine is the server, the others are clients.

        Returns the seconds from the first step after the shared layers until all clients are ready.
        """
        require_lab()
        layer = make_cluster_layer(make_root_tree(say, suite), PYTHON_OF[suite])
        roles = ["server", *("client" for _ in machines[1:])]
        seconds = self.up(
            [one.model_copy(update={"role": role}) for one, role in zip(machines, roles, strict=True)],
            groups={"servers": [machines[0].name], "clients": [one.name for one in machines[1:]]},
            layers=[*layers, layer],
            allowed_hosts=allowed_hosts,
            suite=suite,
            say=say,
        )
        return seconds + self.cluster().wait_until_ready()

    def cluster(self) -> ClusterApi:
        """The cluster's Nomad and Consul. Conflict when the lab was made without."""
        plan = self.plan
        if not any(one.role == "server" for one in plan.machines):
            raise Conflict(
                "lab.no_cluster",
                f"The lab “{self.name}” has no cluster.",
                "`soundstage lab up --cluster` makes one.",
            )
        return ClusterApi(self.paths, plan)

    def down(self) -> None:
        """Removes everything of this lab, however it was left; nothing happens when there is none."""
        require_lab()
        take_down(self.paths)

    def status(self) -> list[MachineStatus]:
        return [
            MachineStatus(
                name=one.name,
                address=one.address,
                cards=len(one.cards),
                running=is_running(self.paths, one),
                ssh=is_ssh_up(self.paths, one),
                boots=boots(self.paths, one),
                faults=tuple(active_faults(self.paths.machine(one.name))),
            )
            for one in self.plan.machines
        ]

    def run(
        self, machine: str, command: list[str], *, timeout_s: float = 300, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on a machine by SSH; what it ended with is the caller's to look at."""
        plan = self.plan.machine(machine)
        return subprocess.run(
            ssh_command(self.paths, plan.name, command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )

    def run_at_console(
        self, machine: str, command: list[str], *, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Does the same without the network of the machine, whose link may be cut."""
        return subprocess.run(
            console_command(self.paths, self.plan.machine(machine), command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )

    def enter(self, command: list[str], *, timeout_s: float | None = None) -> int:
        """Runs a command of this computer in the lab's network, on this terminal; returns its exit code."""
        environment = self.environment()
        if shutil.which(command[0], path=environment["PATH"]) is None:
            raise Unavailable(
                "lab.no_program",
                f"There is no program “{command[0]}” on this computer.",
                "`make setup-farm` installs Ansible in ansible/.venv/bin of the checkout.",
            )
        return subprocess.run(self.entering(command), env=environment, timeout=timeout_s).returncode

    def entering(self, command: list[str]) -> list[str]:
        """Returns the command that runs `command` in the lab's network. Raises NotFound without a lab."""
        _ = self.plan  # raises NotFound
        return [*enter_command(self.paths), *command]

    def environment(self) -> dict[str, str]:
        """Returns the environment of programs in the lab's network: Ansible's inventory, the proxy."""
        proxy = f"http://{GATEWAY}:{PROXY_PORT}"
        return {
            **self.ansible_environment(self.paths.inventory),
            "http_proxy": proxy,
            "https_proxy": proxy,
            "no_proxy": "localhost,127.0.0.1," + ",".join(one.address for one in self.plan.machines),
        }

    def ansible_environment(self, inventory: Path) -> dict[str, str]:
        """Return the environment of a playbook on this lab: what it makes and remembers stays in the lab's
        folder, also where the person's environment or `group_vars` name those of a real farm."""
        return {
            **os.environ,
            "PATH": os.pathsep.join(filter(None, (os.environ.get("PATH", os.defpath), _ansible_programs()))),
            "ANSIBLE_INVENTORY": str(inventory),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.paths.facts),
            "SOUNDSTAGE_FARM_SECRETS": str(self.paths.secrets),
        }

    def reboot(self, machine: str, *, timeout_s: float = 300) -> float:
        """Reboots a machine cleanly; returns the seconds until SSH is up again."""
        plan = self.plan.machine(machine)
        before = boots(self.paths, plan)
        start = time.monotonic()
        self.run(machine, ["systemctl", "reboot"])
        while boots(self.paths, plan) <= before and is_running(self.paths, plan):
            if time.monotonic() > start + timeout_s:
                break
            time.sleep(0.02)
        wait_for_ssh(self.paths, plan, timeout_s)
        return time.monotonic() - start

    def is_on(self, machine: str) -> bool:
        return is_running(self.paths, self.plan.machine(machine))

    def power_off(self, machine: str) -> None:
        """Switches a machine off hard, without a shutdown."""
        stop_machine(self.paths, self.plan.machine(machine))

    def power_on(self, machine: str) -> float:
        """Switches a machine on; returns the seconds until SSH is up."""
        plan = self.plan.machine(machine)
        start_machine(self.paths, plan)
        return wait_for_ssh(self.paths, plan)

    def replace(self, machine: str) -> float:
        """Puts a bare machine with new disk and new host key in the place of one, with its name and address.
        Returns the seconds until SSH is up.
        """
        plan = self.plan.machine(machine)
        remove_machine(self.paths, plan)
        public_key = self.paths.ssh_key.with_suffix(".pub").read_text()
        known = make_machine(self.paths, self.plan, plan, public_key)
        others = [
            line
            for line in self.paths.known_hosts.read_text().splitlines(keepends=True)
            if not line.startswith(f"{machine},")
        ]
        self.paths.known_hosts.write_text("".join([*others, known]))
        return self.power_on(machine)

    def inject_fault(self, machine: str, fault: str) -> Fault:
        """Injects one of the faults `lab.faults.FAULTS` into a machine."""
        return inject_fault(self.paths, self.plan.machine(machine), fault)

    def clear_fault(self, machine: str, fault: str | None = None) -> list[str]:
        """Clears one fault, or all of them; returns the names of those that were active."""
        return clear_fault(self.paths, self.plan.machine(machine), fault)

    def _make(self, plan: LabPlan) -> None:
        self.paths.folder.mkdir(mode=0o700, parents=True)
        # First of all: from here on `down` can remove a partly created lab.
        self.paths.plan.write_text(plan.model_dump_json(indent=1))
        make_lab_groups(self.paths)
        make_network(self.paths)
        start_package_proxy(self.paths, plan)
        public_key = make_lab_key(self.paths)

        def make_and_start(machine: MachinePlan) -> str:
            known = make_machine(self.paths, plan, machine, public_key)
            start_machine(self.paths, machine)
            return known

        with ThreadPoolExecutor(4) as pool:
            self.paths.known_hosts.write_text("".join(pool.map(make_and_start, plan.machines)))
        write_ssh_config(self.paths, plan)
        write_inventories(self.paths, plan)


def _ansible_programs() -> str:
    """Return the folder of the checkout's own Ansible; empty when it is not installed."""
    folder = Path(__file__).parents[1] / "ansible/.venv/bin"
    return str(folder) if folder.is_dir() else ""


def all_labs() -> list[str]:
    """The names of the labs of this computer, also of broken ones."""
    return sorted(path.name for path in LABS.iterdir() if path.is_dir()) if LABS.exists() else []


def start_package_proxy(lab: LabPaths, plan: LabPlan, timeout_s: float = 120) -> None:
    """Returns when it listens."""
    mirror = mirror_of_this_computer()
    ready = lab.folder / "package-proxy.ready"
    log = lab.folder / "package-proxy.log"
    spec = {
        "network": str(lab.network_file),
        "address": GATEWAY,
        "port": PROXY_PORT,
        "own_group": str(keepers_group(lab)),
        "ready": str(ready),
        "cache": str(cache_folder() / "packages"),
        "upstream": mirror.addresses(),
        "http_proxy": mirror.http_proxy,
        "tunnels": list(plan.allowed_hosts),
    }
    process = start_program(_PROGRAM, spec, lab.folder / "package-proxy.json")
    until = time.monotonic() + timeout_s
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise Unavailable(
                "lab.package_proxy",
                f"The lab's package proxy does not start: {log.read_text()[-300:]}",
                f"Its log is {log}.",
            )
        time.sleep(0.01)
