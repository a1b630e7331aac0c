"""Checks that this computer can run a lab (called by `up`, `down` and the fixtures of tests)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.control_groups import find_unified_hierarchy
from soundstage.errors import Forbidden, Unavailable

PACKAGE_OF = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "socat": "socat",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ROOT_ONLY = "The lab makes namespaces, mounts and control groups, which only root may do."


def what_is_missing() -> str | None:
    """Returns why this computer cannot run a lab now, in a sentence or two; None when it can."""
    try:
        require_lab()
    except (Forbidden, Unavailable) as missing:
        return f"{missing.message} {missing.hint}"
    return None


def require_lab() -> None:
    """Forbidden or Unavailable, with what to do, when this computer cannot run a lab."""
    if os.geteuid() != 0:
        raise Forbidden("lab.needs_root", _ROOT_ONLY, "Run the same command with sudo.")
    packages = {package for program, package in PACKAGE_OF.items() if shutil.which(program) is None}
    if not _KEYRING.exists():
        packages.add("debian-archive-keyring")
    if packages:
        raise Unavailable(
            "lab.programs_missing",
            "Programs that the lab needs are missing.",
            f"Run: apt-get install --no-install-recommends {' '.join(sorted(packages))}",
        )
    find_unified_hierarchy()
    # Root in a container often has its name alone.
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Unavailable(
            "lab.no_namespaces",
            f"Root may not make namespaces here: {tried.stderr.strip()}",
            "Inside of a container it needs to be a privileged one.",
        )
