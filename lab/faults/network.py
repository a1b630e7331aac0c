"""The machine's cable is out: the others and the servers do not see it any more, and it runs on."""

from __future__ import annotations

from lab.faults.fault import Fault, Struck
from lab.programs import run_program


def _unplug(machine: Struck) -> None:
    _set_link(machine, "down")


def _plug_in(machine: Struck) -> None:
    _set_link(machine, "up")


def _set_link(machine: Struck, state: str) -> None:
    network = machine.places.lab.network
    run_program(["ip", "-n", network, "link", "set", machine.places.link, state], doing="Moving a cable")


NETWORK = Fault("network", "its network cable is out", _unplug, _plug_in)
