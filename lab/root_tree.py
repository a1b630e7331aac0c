"""Makes the Debian system that all machines of all labs share, read-only, once per recipe (called by
`up`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lab.paths import cache_folder
from lab.programs import run_program
from pxe.image.debian import DPKG_OPTIONS, SUITE, mirror_of_this_computer, mmdebstrap, sources_of
from pxe.image.folder_cache import build_once

# What a machine has after the project's image or installer, and not more: roles must bring the rest.
PACKAGES = (
    *(
        "systemd",
        "systemd-sysv",
        "systemd-resolved",
        "dbus",
        "polkitd",
        "udev",
        "kmod",
        "openssh-server",
        "sudo",
    ),
    *("python3", "python3-apt", "iproute2", "iputils-ping", "nftables", "iptables", "procps", "e2fsprogs"),
    *("curl", "ca-certificates", "gpgv", "zstd"),
    # So that a machine's clock can be wrong without the computer's being wrong (faults/clock).
    "libfaketime",
)
# Bump it when `_finish` changes what it does.
_FORMAT_VERSION = 1


def root_tree_key(suite: str = SUITE) -> str:
    """Returns a hash that changes whenever the tree would."""
    recipe = repr((suite, PACKAGES, sources_of(suite), DPKG_OPTIONS, _FORMAT_VERSION))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def root_tree(key: str) -> Path:
    return cache_folder() / "roots" / key


def make_root_tree(say: Callable[[str], None], suite: str = SUITE) -> str:
    """Returns the key of the tree of `suite`, which it makes when there is none (about a minute).

    One process makes it at a time.
    """
    key = root_tree_key(suite)

    def make(staging: Path) -> None:
        say("Making the Debian system that all machines share (about a minute, once)")
        run_program(
            mmdebstrap(staging, PACKAGES, mirror_of_this_computer(), suite),
            doing="Making the Debian system",
            timeout_s=1800,
        )
        _finish(staging, suite)

    build_once(root_tree(key), make)
    return key


def _finish(root: Path, suite: str) -> None:
    """Takes away what must be each machine's own."""
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(sources_of(suite))
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    # A timer that takes apt's lock at a random minute makes a play fail at random. A role may enable them.
    for name in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        (root / "etc/systemd/system/timers.target.wants" / name).unlink(missing_ok=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
