"""Availability of the farm for a new task; returned by schedulers, used for deadlines."""

from __future__ import annotations

from dataclasses import dataclass

from farm.tasks import SegmentTask

MAX_PLACES = 64


@dataclass(frozen=True, slots=True)
class FarmAvailability:
    """`places` are the times (POSIX seconds) from which one task at a time can run, one entry per place, the
    soonest first; places without an estimate are left out. `ahead` are the tasks queued before it.
    """

    places: tuple[float, ...] = ()
    ahead: tuple[SegmentTask, ...] = ()
