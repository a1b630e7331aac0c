"""What is known of one task on the farm's side: its job, its allocations, its worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from farm.ledger import Story
from farm.nomad.request import Choice

TERMINAL_ALLOCATION = frozenset({"complete", "failed", "lost"})


@dataclass(slots=True)
class Flight:
    """From release to end. `settled` is set once nothing of it runs any more."""

    story: Story
    job_id: str
    choice: Choice
    cancelling: bool = False
    registered: bool = False
    registering: bool = False
    registered_s: float = 0.0
    """On the monotonic clock; a list that was asked for before may not have its job."""
    stopped: bool = False
    launches: int = 0
    trouble: str = ""
    allocations: dict[str, dict[str, Any]] = field(default_factory=dict)
    evicted: set[str] = field(default_factory=set)
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def newest(self) -> dict[str, Any] | None:
        """The allocation that was made last; one that follows a lost one has the greater index."""
        found = self.allocations.values()
        return max(found, key=lambda allocation: int(allocation.get("CreateIndex", 0)), default=None)

    @property
    def placed(self) -> bool:
        return bool(self.allocations)

    @property
    def running_somewhere(self) -> bool:
        """Whether a worker of it may still hold anything."""
        return any(
            allocation.get("ClientStatus") not in TERMINAL_ALLOCATION
            for allocation in self.allocations.values()
        )

    def take(self, allocation: dict[str, Any]) -> bool:
        """False for news that are older than what is known."""
        known = self.allocations.get(allocation["ID"])
        if known is not None and int(known["ModifyIndex"]) > int(allocation["ModifyIndex"]):
            return False
        self.allocations[allocation["ID"]] = {**(known or {}), **allocation}
        return True
