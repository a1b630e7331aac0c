"""Makes a Debian tree the system of a member: its files over it, and nothing in it of any one machine; called
by the build.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pxe.image.debian import sources_of
from pxe.image.programs import run_tool
from pxe.image.recipe import FILES
from pxe.image.tree import EPOCH

AGENT = "usr/local/lib/soundstage/agent"
_UNITS = "etc/systemd/system"
# Unit: by which target it is started, and where it is.
_STARTED = {
    "soundstage-call-home.service": ("multi-user.target", f"/{_UNITS}/soundstage-call-home.service"),
    "soundstage-renew.timer": ("timers.target", f"/{_UNITS}/soundstage-renew.timer"),
    "systemd-networkd.service": ("multi-user.target", "/usr/lib/systemd/system/systemd-networkd.service"),
}
# They take apt's lock, or the disk's time, at a random moment. A role may enable them.
_NOT_STARTED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer")
# Each machine's own, made at enrolment or at boot.
_OWN = (
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/apt/sources.list",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/dbus/machine-id",
    "root/.ssh",
)


def finish_tree(tree: Path, agent: Path, ssh_user: str, staging: Path) -> Path:
    """Copies `tree` below `staging` and prepares it for first boot. Unchanged files are hard links into the
    tree.
    """
    root = staging / "root"
    run_tool(["cp", "--archive", "--link", tree, root], doing="Copying the tree")
    for name in (*_OWN, *(f"etc/ssh/{key.name}" for key in (root / "etc/ssh").glob("ssh_host_*"))):
        remove_path(root / name)
    for source in sorted(FILES.rglob("*")):
        if source.is_file():
            _place(root / source.relative_to(FILES), source.read_text())
    _place(root / "etc/apt/sources.list.d/debian.sources", sources_of())
    _place(root / "etc/machine-id", "")
    _place(root / "etc/hosts", "127.0.0.1 localhost\n")
    remove_path(root / AGENT)
    (root / AGENT).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(agent, root / AGENT)
    (root / AGENT).chmod(0o755)
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    for unit, (target, place) in _STARTED.items():
        wants = root / _UNITS / f"{target}.wants"
        wants.mkdir(parents=True, exist_ok=True)
        remove_path(wants / unit)
        (wants / unit).symlink_to(place)
    for timer in _NOT_STARTED:
        remove_path(root / _UNITS / "timers.target.wants" / timer)
    if ssh_user != "root":
        _add_user(root, ssh_user)
    _say_up_to_date(root)
    return root


def _say_up_to_date(root: Path) -> None:
    """The packages' scripts have made all caches (hardware names, libraries): systemd need not make them anew
    at each machine's first boot (systemd-update-done.service(8)).
    """
    usr = root / "usr"
    moment = usr.stat().st_mtime_ns if usr.exists() else 0
    for folder in ("etc", "var"):
        (root / folder).mkdir(exist_ok=True)
        _place(root / folder / ".updated", f"TIMESTAMP_NSEC={moment}\n")
        # A second later: file systems and archives round.
        os.utime(root / folder / ".updated", ns=(moment + 10**9, moment + 10**9))


def _add_user(root: Path, name: str) -> None:
    """The SSH user of Ansible: no password, no keys but certificates, root by sudo."""
    if f"\n{name}:" not in (root / "etc/passwd").read_text():
        # dpkg's own tools write beside a file and rename, so what is shared with the tree stays as it was.
        run_tool(
            ["useradd", "--root", root, "--create-home", "--shell", "/bin/bash", "--password", "*", name],
            doing="Making the user for Ansible",
            environment={"SOURCE_DATE_EPOCH": EPOCH},
        )
    _place(root / f"etc/sudoers.d/{name}", f"{name} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)


def _place(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Removed first: the file itself may be shared with the tree.
    remove_path(path)
    path.write_text(content)
    path.chmod(mode)


def remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
