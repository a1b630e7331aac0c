"""Writes the lab's machines as Ansible inventories (called by `up`)."""

from __future__ import annotations

from typing import Any

import yaml

from lab.places import LabPlaces
from lab.plan import GATEWAY, PROXY_PORT, LabPlan


def write_inventories(lab: LabPlaces, plan: LabPlan) -> None:
    """One for programs in the lab's network, one for programs of root outside of it."""
    inside = _common_arguments(lab)
    outside = f"{inside} -o ProxyCommand='nsenter --net={lab.network_file} socat - TCP:%h:%p'"
    lab.inventory.write_text(_inventory(lab, plan, inside))
    lab.inventory_from_outside.write_text(_inventory(lab, plan, outside))


def _common_arguments(lab: LabPlaces) -> str:
    return f"-o UserKnownHostsFile={lab.known_hosts} -o GlobalKnownHostsFile=/dev/null"


def _inventory(lab: LabPlaces, plan: LabPlan, ssh_arguments: str) -> str:
    hosts = {
        machine.name: {
            "ansible_host": machine.address,
            "soundstage_lab_gpus": len([card for card in machine.cards if card.is_nvidia]),
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
        },
    }
    if plan.groups:
        everything["children"] = {
            group: {"hosts": {one: {} for one in members}} for group, members in plan.groups.items()
        }
    return yaml.safe_dump({"all": everything}, sort_keys=False)
