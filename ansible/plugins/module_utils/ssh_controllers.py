# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads where Ansible's connections to a machine come from; the module machine_facts calls it there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FARM_FACT = "/etc/ansible/facts.d/soundstage.fact"
MAX_CONTROLLERS = 8


def read_controllers() -> dict[str, Any]:
    """Returns `controller`: the address from which this connection comes by SSH, empty for a local one; and
    `controllers`: up to MAX_CONTROLLERS, those that the role common recorded and this one."""
    try:
        recorded = json.loads(Path(FARM_FACT).read_text()).get("controllers", [])
    except (OSError, ValueError):
        recorded = []
    controller = ssh_client(os.getpid())
    known = [*recorded, *([controller] if controller and controller not in recorded else [])]
    return {"controller": controller, "controllers": known[-MAX_CONTROLLERS:]}


def ssh_client(process: int) -> str:
    """Returns the address in SSH_CONNECTION of a process or its ancestors: sudo removes it from its own."""
    while process > 1:
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return ""
        for one in environment:
            name, _, value = one.decode(errors="replace").partition("=")
            if name == "SSH_CONNECTION" and value:
                return value.split()[0].partition("%")[0]
        process = int(stat.rpartition(")")[2].split()[1])
    return ""
