"""Forecasts whether a render can be ready by a deadline; called by the studio for "ready by 17:00".

The forecast is list scheduling: each segment starts where a place becomes free first, in the order of the
line (R. L. Graham, Bounds for certain multiprocessing anomalies, 1966), once with likely and once with
slow times.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from farm.placement import text
from farm.placement.cards import Request
from farm.placement.history import Estimate
from farm.placement.lease_table import LeaseTable

AT_ONCE = Estimate(0.0, 0.0)


class Verdict(StrEnum):
    YES = "yes"
    PERHAPS = "perhaps"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Job:
    """`scenes` are those still to be made, `finish` the assembly after the last, `ahead` what runs before
    them on the same places. None is a step whose duration is not known.
    """

    scenes: Sequence[Estimate | None]
    finish: Estimate | None = AT_ONCE
    ahead: Sequence[Estimate | None] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Times are POSIX seconds, infinite where unknown or where there is no place at all."""

    verdict: Verdict
    likely_s: float
    slow_s: float
    sentence: str
    places: int | None = None
    """With so many places from now on it would be ready in time; None when it is, or when none would be
    enough.
    """


def forecast(
    job: Job, places: Sequence[float], now_s: float, deadline_s: float, *, clock: text.Clock | None = None
) -> Forecast:
    """`places` are the moments from which one segment at a time can run, one entry per place
    (`places_for`).
    """
    clock = clock or text.local_clock(now_s)
    deadline = clock(deadline_s)
    steps = [*job.scenes, job.finish, *job.ahead]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        missing = len(steps) - len(known)
        sentence = (
            f"it is not known yet whether it is ready by {deadline}: "
            f"{text.count(missing, 'step has', 'steps have')} never run here; the first that ends will tell"
        )
        return Forecast(Verdict.UNKNOWN, math.inf, math.inf, sentence)
    likely_s = _ready(job, places, now_s, slow=False)
    slow_s = _ready(job, places, now_s, slow=True)
    if slow_s <= deadline_s:
        sentence = (
            f"ready at about {clock(likely_s)}, by {clock(slow_s)} even when slow; wanted by {deadline}"
        )
        return Forecast(Verdict.YES, likely_s, slow_s, sentence)
    enough = _enough_places(job, now_s, deadline_s)
    more = _more(enough, len(places))
    if likely_s <= deadline_s:
        sentence = f"may be late: ready at about {clock(likely_s)}, but only by {clock(slow_s)} when slow"
        return Forecast(Verdict.PERHAPS, likely_s, slow_s, f"{sentence}; wanted by {deadline}{more}", enough)
    if math.isinf(likely_s):
        reason = "nothing that could run it is going to be free"
    else:
        reason = f"{text.count(len(job.scenes), 'scene is', 'scenes are')} ready at about {clock(likely_s)}"
    if enough is None:
        alone = _ready(replace(job, ahead=()), [now_s] * max(1, len(job.scenes)), now_s, slow=False)
        reason += f", and not before {clock(alone)} with a place for each at once"
    return Forecast(Verdict.NO, likely_s, slow_s, f"cannot be ready by {deadline}: {reason}{more}", enough)


def places_for(
    table: LeaseTable, request: Request, now_s: float, avoid: frozenset[str] = frozenset(), maximum: int = 64
) -> list[float]:
    """Returns when segments like this one can start on the farm as it is, one entry per place, the soonest
    first. Leases whose end is not known never end here: a forecast may be late by them, never early.
    """
    copy = table.subset([node.id for node in table.nodes])
    ends = sorted(
        (lease.expected_end_s, lease.id) for lease in table.leases if lease.expected_end_s is not None
    )
    found: list[float] = []
    moments = [(now_s, ""), *((max(now_s, end_s), lease_id) for end_s, lease_id in ends)]
    for at_s, lease_id in moments:
        if lease_id:
            copy.release(lease_id)
        while len(found) < maximum:
            if copy.grant(replace(request, id=f"place {len(found)}"), avoid) is None:
                break
            found.append(at_s)
        if len(found) >= maximum:
            break
    return found


def _ready(job: Job, places: Sequence[float], now_s: float, *, slow: bool) -> float:
    free = [max(now_s, at_s) for at_s in places]
    heapq.heapify(free)
    last = now_s
    for number, step in enumerate([*job.ahead, *job.scenes]):
        if not free:
            return math.inf
        ends = free[0] + _seconds(step, slow=slow)
        heapq.heapreplace(free, ends)
        if number >= len(job.ahead):
            last = max(last, ends)
    return last + _seconds(job.finish, slow=slow)


def _seconds(step: Estimate | None, *, slow: bool) -> float:
    if step is None:
        return math.inf
    return step.slow_s if slow else step.likely_s


def _enough_places(job: Job, now_s: float, deadline_s: float) -> int | None:
    """Returns the fewest places, all free now, with which it is likely in time. More places never make list
    scheduling of independent steps later, so the first that will do can be searched by halves.
    """
    low, high = 1, max(1, len(job.scenes) + len(job.ahead))
    if _ready(job, [now_s] * high, now_s, slow=False) > deadline_s:
        return None
    while low < high:
        middle = (low + high) // 2
        if _ready(job, [now_s] * middle, now_s, slow=False) <= deadline_s:
            high = middle
        else:
            low = middle + 1
    return low


def _more(enough: int | None, have: int) -> str:
    return (
        ""
        if enough is None
        else f"; {text.count(enough, 'free place', 'free places')} now would do ({have} here)"
    )
