"""The embedded scheduler: a bounded pool of worker processes on this machine."""

from farm.local.scheduler import LocalOptions, LocalScheduler

__all__ = ["LocalOptions", "LocalScheduler"]
