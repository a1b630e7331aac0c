"""Run times of tasks, stored across restarts; used for deadlines and for the expected end of leases."""

from farm.history.run_times import RunTimes, work_of

__all__ = ["RunTimes", "work_of"]
