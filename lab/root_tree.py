"""Makes the Debian system that all machines of all labs share, read-only, once per recipe (called by
`up`)."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.mirror import PUBLIC, PUBLIC_SECURITY, Mirror, mirror_of_this_computer
from lab.places import cache_folder
from lab.programs import run_program

SUITE = "trixie"
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
# Counted up when `_finish` changes what it does.
_FORM = 1
_SOURCES = f"""\
Types: deb
URIs: {PUBLIC}
Suites: {SUITE} {SUITE}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {PUBLIC_SECURITY}
Suites: {SUITE}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
)


def root_tree_key() -> str:
    """Changes whenever what is made would."""
    recipe = repr((SUITE, PACKAGES, _SOURCES, _DPKG_OPTIONS, _FORM))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def root_tree(key: str) -> Path:
    return cache_folder() / "roots" / key


def make_root_tree(say: Callable[[str], None]) -> str:
    """The key of a tree that is there; made first when it is not (about a minute). One maker at a time."""
    key = root_tree_key()
    target = root_tree(key)
    if target.exists():
        return key
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(target.parent / "lock"):
        if target.exists():
            return key
        say("Making the Debian system that all machines share (about a minute, once)")
        _forget_half_made(target.parent)
        # Not below /tmp: what mounts or cleans there must not touch it.
        staging = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
        try:
            _debootstrap(staging, mirror_of_this_computer())
            _finish(staging)
            staging.chmod(0o755)
            staging.rename(target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return key


def _debootstrap(target: Path, mirror: Mirror) -> None:
    options = [f"--dpkgopt={one}" for one in _DPKG_OPTIONS] + ['--aptopt=Acquire::Languages "none"']
    if mirror.http_proxy:
        options.append(f'--aptopt=Acquire::http::Proxy "{mirror.http_proxy}"')
    run_program(
        [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--format=directory",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            *options,
            SUITE,
            target,
            f"deb {mirror.main} {SUITE} main",
            f"deb {mirror.main} {SUITE}-updates main",
            f"deb {mirror.security} {SUITE}-security main",
        ],
        doing="Making the Debian system",
        timeout_s=1800,
    )


def _finish(root: Path) -> None:
    """Takes away what must be each machine's own."""
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(_SOURCES)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    # A timer that takes apt's lock at a random minute makes a play fail at random. A role may enable them.
    for name in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        (root / "etc/systemd/system/timers.target.wants" / name).unlink(missing_ok=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)


def _forget_half_made(folder: Path) -> None:
    """What a maker left that was killed; we hold the lock, so nobody is at it."""
    for left in folder.glob(".making-*"):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{left}/"):
                run_program(["umount", "--lazy", line.split()[1]], doing="Unmounting", fine=(0, 1, 32))
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
