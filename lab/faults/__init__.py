"""What can be broken on a machine of the lab, and healed again (`soundstage lab break|heal`, drills,
tests)."""

from lab.faults.catalogue import FAULTS, active_faults, heal, strike
from lab.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "active_faults", "heal", "strike"]
