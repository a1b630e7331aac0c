# SPDX-License-Identifier: GPL-3.0-or-later
"""The few facts that the roles need about a machine, in one round trip.

Imports the standard library and ours alone: plugin_utils/module_program.py runs it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.ssh_controllers import read_controllers

DOCUMENTATION = r"""
module: machine_facts
short_description: The few facts that the Soundstage roles need
description: >-
  Reads operating system, its Python, user, clock, free space, packages and SSH host key, and puts them into
  the fact soundstage_machine.
options:
  expected:
    description: Files whose presence is told in the fact's C(present), which saves a round trip for each.
    type: list
    elements: path
    default: []
author: Soundstage
"""

RETURN = r"""
ansible_facts:
  description: The fact soundstage_machine, a dictionary.
  returned: always
  type: dict
"""


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Returns the task's result. `params` are those of the documentation above, checked."""
    return {"changed": False, "ansible_facts": {"soundstage_machine": _facts(params["expected"])}}


def _facts(expected: list[str]) -> dict[str, Any]:
    release = _os_release()
    return {
        "os_id": release.get("ID", "unknown"),
        "os_version": release.get("VERSION_ID", "unknown"),
        "os_codename": release.get("VERSION_CODENAME", "unknown"),
        "os_name": release.get("PRETTY_NAME", "an unknown system"),
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "wheel_platform": _wheel_platform(),
        "kernel": platform.release(),
        "hostname": platform.node(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "container": Path("/run/systemd/container").exists(),
        "effective_user_id": os.geteuid(),
        "epoch_s": time.time(),
        "free_mib": {folder: _free_mib(folder) for folder in ("/", "/var", "/opt", "/tmp")},  # noqa: S108
        "ssh_host_key": _text("/etc/ssh/ssh_host_ed25519_key.pub"),
        "ssh_host_certificate": _text("/etc/ssh/ssh_host_ed25519_key-cert.pub"),
        **_packages(),
        "authorities": _authorities(),
        **read_controllers(),
        "present": sorted(path for path in expected if os.path.lexists(path)),
    }


def _wheel_platform() -> str:
    """Returns for which machines wheels are chosen, as uv names it: it knows glibc up to 2.40."""
    glibc_minor = int(platform.libc_ver()[1].partition(".")[2] or 0)
    return f"{platform.machine()}-manylinux_2_{min(glibc_minor, 40)}"


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _free_mib(folder: str) -> int:
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize // (1024 * 1024)


def _packages() -> dict[str, Any]:
    """Names from dpkg's own list, which is much faster to read than to ask for; `packages_unfinished` when it
    was cut off: packages half installed, or changes that are not in the list yet (its folder `updates`).
    """
    installed, name, unfinished = [], "", False
    try:
        with Path("/var/lib/dpkg/status").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("Package: "):
                    name = line[9:].strip()
                elif line.startswith("Status: "):
                    desired, error, state = line.split()[1:4]
                    if desired in ("install", "hold") and (error, state) == ("ok", "installed"):
                        installed.append(name)
                    unfinished |= error != "ok" or state not in ("installed", "config-files", "not-installed")
        unfinished |= any(one.name.isdigit() for one in Path("/var/lib/dpkg/updates").iterdir())
    except OSError:
        pass
    return {"packages": installed, "packages_unfinished": unfinished}


def _authorities() -> list[str]:
    """SHA-256 of each certificate that the engines here trust: which farm this machine belongs to."""
    found = []
    for path in ("/etc/consul.d/tls/ca.pem", "/etc/nomad.d/tls/ca.pem"):
        for block in _text(path).split("-----END CERTIFICATE-----"):
            if block.strip():
                found.append(hashlib.sha256("".join(block.split()).encode()).hexdigest())
    return sorted(set(found))


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
