"""How long work took here, kept across restarts; asked for deadlines and for the expected end of leases."""

from farm.history.run_times import RunTimes
from farm.history.work import work_of

__all__ = ["RunTimes", "work_of"]
