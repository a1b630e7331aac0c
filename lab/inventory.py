"""Writes the lab's machines as Ansible inventories (called by `up`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from lab.cards.machine_view import INSIDE
from lab.paths import LabPaths
from lab.plan import GATEWAY, PROXY_PORT, LabPlan
from lab.ssh_access import lab_authority

# What the roles have to know of machines that share this computer's kernel and have cards that are not there.
OF_ROLES: dict[str, Any] = {
    "gpu__driver_source": "preinstalled",
    "gpu__kernel_log": f"{INSIDE}/kernel.log",
    "gpu__memory_test_mib": 0,
    # Each machine sees all the memory of the computer.
    "nomad__memory_total_mib": "{{ soundstage_lab_memory_mib }}",
    "nomad__gpu_plugin_config": {"source": "fake", "fake_cards": f"{INSIDE}/cards.json"},
    "docker__storage_driver": "vfs",
    "docker__networking": False,
}
# As inventory/group_vars/gpu of the project says it of real machines.
_OF_GROUPS: dict[str, dict[str, Any]] = {"gpu": {"nomad__gpu_plugin": True}}


def write_inventories(lab: LabPaths, plan: LabPlan) -> None:
    """One for programs in the lab's network, one for programs of root outside of it."""
    inside = f"-o UserKnownHostsFile={lab.known_hosts} -o GlobalKnownHostsFile=/dev/null"
    outside = f"{inside} -o ProxyCommand='nsenter --net={lab.network_file} socat - TCP:%h:%p'"
    lab.inventory.write_text(_inventory(lab, plan, inside))
    lab.inventory_from_outside.write_text(_inventory(lab, plan, outside))


def _inventory(lab: LabPaths, plan: LabPlan, ssh_arguments: str) -> str:
    hosts = {
        machine.name: {
            "ansible_host": machine.address,
            "soundstage_lab_gpus": machine.nvidia_cards,
            "soundstage_lab_memory_mib": machine.memory_mib,
        }
        for machine in plan.machines
    }
    everything: dict[str, Any] = {
        "hosts": hosts,
        "vars": {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(lab.ssh_key),
            "ansible_ssh_common_args": ssh_arguments,
            # Every lab has the same addresses: Ansible must not take up a connection into another one.
            "ansible_control_path_dir": str(lab.folder / "ssh"),
            "ansible_python_interpreter": "/usr/bin/python3",
            "soundstage_lab": lab.name,
            "soundstage_lab_package_proxy": f"http://{GATEWAY}:{PROXY_PORT}",
            # The farm of this lab is a farm of its own, whatever this person administers besides.
            "farm__secrets": str(lab.secrets),
            # The role shuts lists of keys out, as on real machines; the lab's key has a certificate then.
            "ssh_hardening__also_trusted": [{"user": "root", "authority": lab_authority()}],
            **OF_ROLES,
            **_of_engines(plan),
        },
    }
    if plan.groups:
        everything["children"] = {
            group: {"hosts": {one: {} for one in members}, "vars": _OF_GROUPS.get(group, {})}
            for group, members in plan.groups.items()
        }
    return yaml.safe_dump({"all": everything}, sort_keys=False)


def _of_engines(plan: LabPlan) -> dict[str, str]:
    """Returns what the roles of the engines want to know of a file that they install."""
    variables: dict[str, str] = {}
    for engine, program in plan.engines.items():
        with Path(program).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        variables |= {
            f"{engine}__source": "file",
            f"{engine}__file": program,
            f"{engine}__file_sha256": digest,
        }
    return variables
