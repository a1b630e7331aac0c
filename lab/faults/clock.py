"""A clock that is an hour ahead. All machines share the computer's clock, so programs are told a wrong time
instead.

Programs that use the C library (sshd, Python, apt, curl, date …) ask libfaketime, which /etc/ld.so.preload
puts into each new one. Programs in Go, as Nomad and Consul are, ask the kernel: in the lab these two are
started through `soundstage-lab-clock`, which answers for it. What runs already keeps its time, so the three
services are restarted.
"""

from __future__ import annotations

from pathlib import Path

from lab.faults.fault import Fault, FaultTarget
from lab.programs import run_program
from lab.ssh_access import ssh_command

AHEAD_S = 3600
_LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_OFFSET_FILE = "etc/faketimerc"
_RESTARTED = ("ssh.service", "consul.service", "nomad.service")


def _set_ahead(machine: FaultTarget) -> None:
    root = machine.paths.root
    (root / _OFFSET_FILE).write_text(f"+{AHEAD_S}\n")
    (root / "etc/ld.so.preload").write_text(f"{_LIBRARY}\n")
    _restart_services(machine)


def _set_right(machine: FaultTarget) -> None:
    root = machine.paths.root
    for name in ("etc/ld.so.preload", _OFFSET_FILE):
        Path(root / name).unlink(missing_ok=True)
    _restart_services(machine)


def _restart_services(machine: FaultTarget) -> None:
    """Restarts running services; a machine without power reads the clock when it boots."""
    command = ["systemctl", "try-restart", *_RESTARTED]
    run_program(
        ssh_command(machine.paths.lab, machine.plan.name, command),
        doing="Restarting services",
        fine=(0, 5, 255),
    )


CLOCK = Fault("clock", "its clock is an hour ahead", _set_ahead, _set_right)
