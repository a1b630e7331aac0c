"""A lease: what one task holds of one node; created by the lease table, written into the job by the Nomad
adapter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """A node, and cards of it. `shares` 0 means the cards as a whole; no cards means CPU only."""

    node_id: str
    cards: tuple[str, ...] = ()
    shares: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Times are POSIX seconds. `id` is the request's. Allocations of others are leases with an empty
    owner.
    """

    id: str
    owner: str
    engine: str
    assignment: Assignment
    cpu_mhz: int
    memory_mib: int
    peak_mib: int = 0
    """GPU memory that the engine was measured or declared to take, all stages together."""
    expected_end_s: float | None = None
