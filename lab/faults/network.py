"""The machine's cable is out: the others and the servers do not see it any more, and it runs on."""

from __future__ import annotations

from lab.faults.fault import Fault, FaultTarget
from lab.programs import run_program


def _unplug(machine: FaultTarget) -> None:
    _set_link(machine, "down")


def _plug_in(machine: FaultTarget) -> None:
    _set_link(machine, "up")


def _set_link(machine: FaultTarget, state: str) -> None:
    network = machine.paths.lab.network
    run_program(["ip", "-n", network, "link", "set", machine.paths.link, state], doing="Moving a cable")


NETWORK = Fault("network", "its network cable is out", _unplug, _plug_in)
