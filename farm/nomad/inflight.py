"""Tracks one task on the cluster: its job, its allocations, its worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from farm.nomad.request import PlacementHint
from farm.task_registry import TaskRecord

TERMINAL_ALLOCATION = frozenset({"complete", "failed", "lost"})


@dataclass(slots=True)
class InFlightTask:
    """A task from its release to its end. `released` is set once nothing of it runs any more."""

    record: TaskRecord
    job_id: str
    choice: PlacementHint
    cancelling: bool = False
    registered: bool = False
    registering: bool = False
    registered_s: float = 0.0
    """On the monotonic clock; a list that was requested before may not have its job."""
    stopped: bool = False
    inherited: bool = False
    """An earlier process launched it, and may have been stopping it when it ended."""
    launches: int = 0
    last_error: str = ""
    allocations: dict[str, dict[str, Any]] = field(default_factory=dict)
    evicted: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def latest_allocation(self) -> dict[str, Any] | None:
        """Returns the allocation that was created last; one that replaces a lost one has the greater
        index.
        """
        found = self.allocations.values()
        return max(found, key=lambda allocation: int(allocation.get("CreateIndex", 0)), default=None)

    @property
    def running_somewhere(self) -> bool:
        """True while a worker of it may still hold resources."""
        return any(
            allocation.get("ClientStatus") not in TERMINAL_ALLOCATION
            for allocation in self.allocations.values()
        )

    def update(self, allocation: dict[str, Any]) -> bool:
        """Stores the allocation; returns False for an update that is older than the stored one."""
        stored = self.allocations.get(allocation["ID"])
        if stored is not None and int(stored["ModifyIndex"]) > int(allocation["ModifyIndex"]):
            return False
        self.allocations[allocation["ID"]] = {**(stored or {}), **allocation}
        return True
