"""Selects queued runs that may start now, by a pure function of queued and running ones; called by the
driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits or runs, and its machines."""

    run_id: str
    machines: frozenset[str]


def startable(queued: Sequence[Waiting], running: Sequence[Waiting], at_once: int) -> list[str]:
    """Ids, in the order of `queued` (oldest first).

    No machine is in two runs at a time, and none overtakes an older run that waits for one of its machines.
    """
    busy = frozenset[str]().union(*(run.machines for run in running))
    free, chosen = at_once - len(running), list[str]()
    for run in queued:
        if len(chosen) < free and not run.machines & busy:
            chosen.append(run.run_id)
        busy |= run.machines
    return chosen
