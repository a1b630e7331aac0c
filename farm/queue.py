"""A priority queue: higher priority first, then first come first served. Used by schedulers that queue on our
side.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class _Place:
    rank: tuple[int, int]
    task_id: str = field(compare=False)


class TaskQueue:
    """Ids in the order in which they will start."""

    def __init__(self) -> None:
        self._heap: list[_Place] = []
        self._waiting: dict[str, tuple[int, int]] = {}
        self._counter = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._waiting

    def push(self, task_id: str, priority: int) -> None:
        rank = (-priority, next(self._counter))
        self._waiting[task_id] = rank
        heapq.heappush(self._heap, _Place(rank, task_id))

    def pop(self) -> str | None:
        """Returns the next id, or None when the queue is empty."""
        while self._heap:
            place = heapq.heappop(self._heap)
            if self._waiting.get(place.task_id) == place.rank:
                del self._waiting[place.task_id]
                return place.task_id
        return None

    def remove(self, task_id: str) -> bool:
        """True when it was waiting. Its heap entry is skipped later: removal stays cheap."""
        return self._waiting.pop(task_id, None) is not None

    def ahead_of(self, task_id: str) -> int:
        """Returns how many start before it."""
        mine = self._waiting[task_id]
        return sum(1 for rank in self._waiting.values() if rank < mine)
