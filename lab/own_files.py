"""The files that make each machine itself: name, addresses, keys (called by `machines`, taken out again by
`bake`)."""

from __future__ import annotations

import uuid
from pathlib import Path

from lab.paths import MachinePaths
from lab.plan import GATEWAY, PROXY_PORT, LabPlan, MachinePlan
from lab.ssh_access import make_host_key
from pxe.image.finish import remove_path

_NETWORK = "systemd/network/10-lab.network"
_APT_PROXY = "apt/apt.conf.d/90soundstage-lab"
# Written at boot or by services: none of it may be the same on two machines.
_CREATED_LATER = (
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/log/journal",
    "etc/resolv.conf",
)


def write_own_files(paths: MachinePaths, plan: LabPlan, machine: MachinePlan, public_key: str) -> str:
    """Into its upper folder, before its first boot. Returns its line for known_hosts."""
    etc = paths.upper / "etc"
    for folder in ("ssh", "systemd/network", "systemd/system/multi-user.target.wants", "apt/apt.conf.d"):
        (etc / folder).mkdir(parents=True, exist_ok=True)
    (etc / "hostname").write_text(f"{machine.name}\n")
    # Given, and not made at boot: a machine without one believes that it boots for the first time.
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    hosts = ["127.0.0.1 localhost", *(f"{one.address} {one.name}" for one in plan.machines)]
    (etc / "hosts").write_text("\n".join(hosts) + "\n")
    # Before the stock 80-container-host0.network, which would ask for DHCP.
    (etc / _NETWORK).write_text(
        f"[Match]\nName=host0\n\n[Network]\nAddress={machine.address}/24\nGateway={GATEWAY}\nLinkLocalAddressing=no\n"
        "IPv6AcceptRA=no\n"
    )
    networkd = etc / "systemd/system/multi-user.target.wants/systemd-networkd.service"
    networkd.symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
    (etc / _APT_PROXY).write_text(
        f'Acquire::http::Proxy "http://{GATEWAY}:{PROXY_PORT}";\n'
        f'Acquire::https::Proxy "http://{GATEWAY}:{PROXY_PORT}";\n'
    )
    ssh = paths.upper / "root/.ssh"
    ssh.mkdir(parents=True)
    (paths.upper / "root").chmod(0o700)
    ssh.chmod(0o700)
    (ssh / "authorized_keys").write_text(public_key)
    (ssh / "authorized_keys").chmod(0o600)
    return make_host_key(etc / "ssh/ssh_host_ed25519_key", machine)


def forget_own_files(root: Path) -> None:
    """Takes out of a copy of a machine's changes what is that machine's own."""
    etc = root / "etc"
    for path in (
        *(etc / name for name in ("hostname", "machine-id", "hosts", _NETWORK, _APT_PROXY)),
        *(etc / "ssh").glob("ssh_host_*"),
        *(root / name for name in _CREATED_LATER),
        root / "root/.ssh/authorized_keys",
        root / "run",
        root / "tmp",
    ):
        remove_path(path)
