"""Proposals of `soundstage init`: this machine as the control machine, on its own network."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from app.farm_setup.answers import HTTPS_PORT

NO_ADDRESS = "192.0.2.11"
"""For a machine without a network; of the range for documentation, so that nobody takes it for a real one."""


@dataclass(frozen=True, slots=True)
class LocalAddress:
    interface: str
    address: str


def local_addresses() -> list[LocalAddress]:
    """Returns the IPv4 addresses by which others reach this machine; that of the default route first."""
    routes = _ip("-4", "route", "show", "default")
    first = [route.get("dev") for route in routes]
    found = [
        LocalAddress(link["ifname"], info["local"])
        for link in _ip("-4", "address", "show", "scope", "global", "up")
        for info in link.get("addr_info", [])
    ]
    return sorted(found, key=lambda one: one.interface not in first)


def default_answers(address: str | None) -> dict[str, str]:
    """Returns an answer for each question, as text. `address` is that of the control machine, if known.

    Machines boot beside the DHCP server that is there, on the interface that has the address: a second server
    that gives addresses would be refused.
    """
    own = local_addresses()
    chosen = address or (own[0].address if own else NO_ADDRESS)
    interface = next((one.interface for one in own if one.address == chosen), None)
    return {
        "name": "soundstage",
        "address": chosen,
        "boot": f"proxy {interface}" if interface else "none",
        "url": f"https://{chosen}:{HTTPS_PORT}",
        "backups": "/var/backups/soundstage/repository",
    }


def _ip(*words: str) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(["ip", "-json", *words], capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return found
