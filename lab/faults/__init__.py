"""Breaks and heals parts of a lab's machines (`soundstage lab break|heal`, drills,
tests)."""

from lab.faults.catalogue import FAULTS, active_faults, heal, strike
from lab.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "active_faults", "heal", "strike"]
