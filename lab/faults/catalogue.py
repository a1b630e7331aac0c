"""Registers all faults by name, injects and clears them; active faults are recorded on disk."""

from __future__ import annotations

import json
from functools import partial

from lab.faults.card import CARD_DEAD, CARD_MEMORY, DRIVER
from lab.faults.clock import CLOCK
from lab.faults.disk import DISK_FULL, DISK_SLOW
from lab.faults.fault import Fault, FaultTarget, nothing_to_clear
from lab.machines import start_machine, stop_machine, wait_until_booting
from lab.paths import LabPaths, MachinePaths
from lab.plan import MachinePlan
from lab.programs import run_program
from soundstage.errors import Conflict, Invalid, Unavailable


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


def _set_link(state: str, machine: FaultTarget) -> None:
    network = machine.paths.lab.network
    run_program(["ip", "-n", network, "link", "set", machine.paths.link, state], doing="Moving a cable")


NETWORK = Fault("network", "its network cable is out", partial(_set_link, "down"), partial(_set_link, "up"))
FAULTS: dict[str, Fault] = {
    one.name: one
    for one in (NETWORK, DISK_FULL, DISK_SLOW, CLOCK, CARD_DEAD, CARD_MEMORY, DRIVER, POWER, RESET)
}
_FIRST = (POWER.name, NETWORK.name)


def inject_fault(lab: LabPaths, machine: MachinePlan, fault: str) -> Fault:
    """Injects a fault into a machine. An active fault stays; a fault that is refused is not recorded."""
    target = FaultTarget(lab.machine(machine.name), machine)
    found = _fault(fault)
    active = active_faults(target.paths)
    # Recorded before it is injected: a fault that fails half-way can still be cleared.
    if found.lasts:
        _remember(target.paths, [*active, fault])
    try:
        found.inject(target)
    except (Conflict, Unavailable):
        # Refused: nothing was changed.
        _remember(target.paths, active)
        raise
    return found


def clear_fault(lab: LabPaths, machine: MachinePlan, fault: str | None = None) -> list[str]:
    """Clears one fault, or all; returns the names of those that were active."""
    target = FaultTarget(lab.machine(machine.name), machine)
    active = active_faults(target.paths)
    selected = [_fault(fault).name] if fault else active
    healed = [name for name in active if name in selected]
    # Faults that are cleared through SSH come after those that SSH depends on.
    for name in sorted(selected, key=lambda one: (one not in _FIRST, one)):
        FAULTS[name].clear(target)
        _remember(target.paths, [one for one in active_faults(target.paths) if one != name])
    return healed


def active_faults(machine: MachinePaths) -> list[str]:
    """Returns what is broken on a machine now."""
    try:
        found: list[str] = json.loads((machine.folder / "faults.json").read_text())
    except FileNotFoundError:
        return []
    return found


def _fault(name: str) -> Fault:
    if name not in FAULTS:
        raise Invalid("lab.no_such_fault", f"There is no fault “{name}”.", f"There are: {', '.join(FAULTS)}.")
    return FAULTS[name]


def _remember(machine: MachinePaths, names: list[str]) -> None:
    staging = machine.folder / "faults.json.new"
    staging.write_text(json.dumps(sorted(set(names))))
    staging.replace(machine.folder / "faults.json")
