"""Prints as JSON what the playbook needs of a machine; changes nothing. Ansible runs it on each machine for
`soundstage doctor --farm`, so it imports the standard library alone. Arguments: names to resolve.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDERS = ("/", "/var", "/opt", "/tmp")  # noqa: S108  nothing is written there
# The file by which a part that is there already is known as ours.
MARKS = {
    "consul": "/etc/consul.d/.soundstage",
    "nomad": "/etc/nomad.d/.soundstage",
    "provisioning": "/etc/systemd/system/soundstage-provisioning.service",
    "boot": "/etc/nginx/sites-enabled/soundstage-boot",
    "agent": "/etc/soundstage/agent.toml",
    "postgresql": "/etc/soundstage/postgresql/ca.pem",
    "soundstage-objects": "/etc/systemd/system/soundstage-objects.service",
}


def host_facts(names: list[str]) -> dict[str, Any]:
    """Returns what was found, in types of JSON."""
    release = os_release()
    return {
        "user": os.environ.get("USER") or str(os.geteuid()),
        "root": os.geteuid() == 0 or can_sudo(),
        "os_id": release.get("ID", "unknown"),
        "os_version": release.get("VERSION_ID", "unknown"),
        "os_name": release.get("PRETTY_NAME", "an unknown system"),
        "systemd": Path("/run/systemd/system").is_dir(),
        "epoch_s": time.time(),
        "free_mib": {
            folder: shutil.disk_usage(folder).free >> 20 for folder in FOLDERS if Path(folder).is_dir()
        },
        "tcp_ports": listening_ports("tcp", "0A"),
        "udp_ports": listening_ports("udp", "07"),
        "interfaces": interface_addresses(),
        "unresolved": [name for name in names if not resolves(name)],
        "ours": [part for part, mark in MARKS.items() if Path(mark).exists()],
    }


def os_release() -> dict[str, str]:
    """Returns the fields of /etc/os-release."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    return {name: value.strip("\"'") for name, value in pairs}


def can_sudo() -> bool:
    """Returns whether sudo works without a password."""
    try:
        return subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def listening_ports(protocol: str, state: str) -> list[int]:
    """Returns the ports that a program of the machine listens on (proc_net_tcp(5))."""
    found: set[int] = set()
    for table in (protocol, protocol + "6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        found.update(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == state)
    return sorted(found)


def interface_addresses() -> dict[str, list[str]]:
    """Returns the IPv4 addresses of each interface."""
    found: dict[str, list[str]] = {path.name: [] for path in Path("/sys/class/net").iterdir()}
    try:
        done = subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, timeout=10)
        for link in json.loads(done.stdout or b"[]"):
            found[link["ifname"]] = [info["local"] for info in link.get("addr_info", [])]
    except (OSError, subprocess.SubprocessError, ValueError):
        # A machine without iproute2 shows its interfaces alone.
        return found
    return found


def resolves(name: str) -> bool:
    """Returns whether the machine finds an address for the name."""
    try:
        return bool(socket.getaddrinfo(name, 443))
    except OSError:
        return False


if __name__ == "__main__":
    print(json.dumps(host_facts(sys.argv[1:])))
