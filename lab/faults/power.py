"""Power that fails, and a machine that reboots in the middle of its work without being asked."""

from __future__ import annotations

from lab.faults.fault import Fault, FaultTarget, nothing_to_clear
from lab.machines import start_machine, stop_machine, wait_until_booting


def _cut(machine: FaultTarget) -> None:
    stop_machine(machine.paths.lab, machine.plan)


def _restore(machine: FaultTarget) -> None:
    start_machine(machine.paths.lab, machine.plan)
    wait_until_booting(machine.paths.lab, machine.plan)


def _reset(machine: FaultTarget) -> None:
    _cut(machine)
    _restore(machine)


POWER = Fault("power", "it has no power", _cut, _restore)
RESET = Fault("reset", "it resets in the middle of its work", _reset, nothing_to_clear, lasts=False)
