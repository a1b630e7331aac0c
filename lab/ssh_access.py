"""Keys of a lab, made anew for each: one to enter its machines, one per machine to know it by (called by
`up`)."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.paths import LabPaths, cache_folder
from lab.plan import LabPlan, MachinePlan
from lab.programs import run_program
from pxe.image.folder_cache import build_once


def make_lab_key(lab: LabPaths) -> str:
    """Make the key of a lab, with a certificate of `lab_authority` beside it, which ssh finds by its name.

    Returns the public key that every machine lets in; the private one is readable by root alone. The
    certificate opens a machine whose role ssh_hardening has shut lists of keys out.
    """
    lab.ssh_key.parent.mkdir(mode=0o700, parents=True)
    name = f"soundstage-lab-{lab.name}"
    _make_key(lab.ssh_key, name)
    public = lab.ssh_key.with_suffix(".pub")
    run_program(
        ["ssh-keygen", "-q", "-s", _authority(), "-I", name, "-n", "root", public], doing="Signing a key"
    )
    return public.read_text()


def lab_authority() -> str:
    """Return the public key, as one line, that signs the keys of all labs of this computer.

    It lives and ends with the baked layers, whose machines believe it: a layer outlives the lab it is from.
    """
    return _authority().with_suffix(".pub").read_text().strip()


def make_host_key(target: Path, machine: MachinePlan) -> str:
    """Writes a host key before the machine's first boot, and returns its line for known_hosts."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _make_key(target, machine.name)
    kind, key = target.with_suffix(".pub").read_text().split()[:2]
    return f"{machine.name},{machine.address} {kind} {key}\n"


def write_ssh_config(lab: LabPaths, plan: LabPlan) -> None:
    """For `ssh -F`, inside the lab's network."""
    lines = [
        "Host *",
        "  User root",
        f"  IdentityFile {lab.ssh_key}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {lab.known_hosts}",
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  PasswordAuthentication no",
        # A machine may be without power or cable, which the caller must see.
        "  ConnectTimeout 20",
        "  ServerAliveInterval 15",
        "  LogLevel ERROR",
        "",
    ]
    for machine in plan.machines:
        lines += [
            f"Host {machine.name}",
            f"  HostName {machine.address}",
            f"  HostKeyAlias {machine.name}",
            "",
        ]
    lab.ssh_config.write_text("\n".join(lines))


def ssh_command(lab: LabPaths, machine: str, command: list[str]) -> list[str]:
    """The whole command that runs `command` (or a login shell) on a machine, from anywhere on this computer.

    SSH hands the far side one line for its shell: the words are quoted here, so that they arrive as they are.
    """
    far = ["--", shlex.join(command)] if command else []
    return [*enter_command(lab), "ssh", "-F", str(lab.ssh_config), machine, *far]


def enter_command(lab: LabPaths) -> list[str]:
    """Returns what to put before a command so that it runs in the lab's network."""
    return ["nsenter", f"--net={lab.network_file}"]


def _authority() -> Path:
    folder = build_once(
        cache_folder() / "ssh-authority",
        lambda staging: _make_key(staging / "authority", "soundstage-lab-authority"),
    )
    return folder / "authority"


def _make_key(target: Path, comment: str) -> None:
    run_program(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", target], doing="Making a key"
    )
