"""Availability of the farm for a new task; returned by schedulers, used for deadlines."""

from __future__ import annotations

from dataclasses import dataclass

from farm.tasks import SegmentTask

MOST_PLACES = 64


@dataclass(frozen=True, slots=True)
class Outlook:
    """`places` are the moments (POSIX seconds) from which one task at a time can run, one entry per place,
    the soonest first; places of which nobody knows when they become free are left out. `ahead` wait before
    it.
    """

    places: tuple[float, ...] = ()
    ahead: tuple[SegmentTask, ...] = ()
