"""Injects faults into a lab's machines and clears them (`soundstage lab break|heal`, drills, tests)."""

from lab.faults.catalogue import FAULTS, active_faults, clear_fault, inject_fault
from lab.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "active_faults", "clear_fault", "inject_fault"]
