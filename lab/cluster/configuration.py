"""Configures a machine as a server or a client of the plain cluster: two files and two enabled units, before
it boots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.cards.machine_view import INSIDE
from lab.plan import LabPlan, MachinePlan

PLUGIN = "soundstage-gpu"
_ENABLED = ("consul.service", "nomad.service")
# Clouds are asked for what they know of a machine, which takes seconds where there is none.
_NO_CLOUDS = {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"}
# Programs, where they look for their libraries, and where the loader's link leads: an isolated task needs no
# more here, and the first one does not wait for a copy of the whole system.
_CHROOT = {
    "/usr/bin": "/usr/bin",
    "/usr/lib/x86_64-linux-gnu": "/lib/x86_64-linux-gnu",
    "/usr/lib64": "/lib64",
}


def write_cluster_files(upper: Path, plan: LabPlan, machine: MachinePlan) -> None:
    """Into the machine's own files; nothing when it has no part in a cluster."""
    if not machine.role:
        return
    server = next(one for one in plan.machines if one.role == "server")
    for name, content in {
        "etc/consul.d/lab.json": _consul(machine, server),
        "etc/nomad.d/lab.json": _nomad(machine, server),
    }.items():
        path = upper / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1))
    wants = upper / "etc/systemd/system/multi-user.target.wants"
    for unit in _ENABLED:
        (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")


def _consul(machine: MachinePlan, server: MachinePlan) -> dict[str, Any]:
    return {
        "node_name": machine.name,
        "data_dir": "/var/lib/consul",
        "bind_addr": machine.address,
        "client_addr": f"127.0.0.1 {machine.address}",
        "disable_update_check": True,
        # The default of 30 s is most of the time that a new cluster takes.
        "retry_join": [server.address],
        "retry_interval": "1s",
        "performance": {"raft_multiplier": 1},
        **({"server": True, "bootstrap_expect": 1} if machine is server else {}),
    }


def _nomad(machine: MachinePlan, server: MachinePlan) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": machine.name,
        "data_dir": "/var/lib/nomad",
        "bind_addr": "0.0.0.0",  # noqa: S104 -- the lab's network leads nowhere
        "advertise": dict.fromkeys(("http", "rpc", "serf"), machine.address),
        "disable_update_check": True,
        "leave_on_interrupt": False,
    }
    if machine is server:
        # A machine that vanishes is noticed in seconds: drills are for people who wait.
        beat = {"min_heartbeat_ttl": "2s", "heartbeat_grace": "3s", "max_heartbeats_per_second": 500}
        return {**config, "server": {"enabled": True, "bootstrap_expect": 1, **beat}}
    config["client"] = {
        "enabled": True,
        "options": _NO_CLOUDS,
        "server_join": {"retry_join": [server.address], "retry_interval": "1s"},
        # Every machine sees the whole computer, and would offer all of it.
        "memory_total_mb": machine.memory_mib,
        "cpu_total_compute": 4000,
        "chroot_env": _CHROOT,
    }
    config["plugin_dir"] = "/opt/nomad/plugins"
    config["plugin"] = {
        "raw_exec": {"config": {"enabled": True}},
        PLUGIN: {
            "config": {"source": "fake", "fake_cards": f"{INSIDE}/cards.json", "fingerprint_period": "500ms"}
        },
    }
    return config
