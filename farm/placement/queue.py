"""A fair queue on our side: what can run now leaves it in a fair order, the rest never reaches Nomad. Called
by the Nomad adapter on every change; pure logic on the lease table.

Order is self-clocked fair queueing (S. J. Golestani, INFOCOM 1994): each request gets a finish tag when it
comes, one turn behind the last one of its render, or behind the virtual time if that render has none; a turn
is shorter at a higher priority. The smallest tag goes first, and its tag becomes the virtual time. So renders
of one priority take turns, a render that used an idle farm is not punished for it, and no render starves:
what comes later gets a later tag.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from farm.placement.cards import Request, Shape
from farm.placement.lease_table import LeaseTable
from farm.placement.leases import Lease
from farm.placement.wait_reasons import cards_to_reserve, earliest, earliest_on

Avoid = Callable[[str], frozenset[str]]
"""From an engine to the ids of nodes that it stays away from now."""

POINTS_PER_DOUBLING = 10.0


@dataclass(frozen=True, slots=True)
class QueueRules:
    """`reserve_after_s`: after so long a wait, cards are reserved for the first request of its shape, which
    small ones would overtake for ever. At most `max_reservations` requests have a reservation.
    """

    reserve_after_s: float = 120.0
    max_reservations: int = 8


@dataclass(order=True, slots=True)
class _Entry:
    finish_tag: float
    number: int
    request: Request = field(compare=False)
    priority: int = field(compare=False)
    since_s: float = field(compare=False)


@dataclass(slots=True)
class _ShapeQueue:
    """Requests of one shape: when the first does not fit, none does."""

    heap: list[_Entry] = field(default_factory=list)
    refused_at_version: int = -1
    """The `capacity_version` of the lease table when one of them last did not fit."""
    avoided: frozenset[str] = frozenset()
    """The nodes that were avoided then."""
    retry_reservation_at_s: float = 0.0
    """The last search for cards to reserve, which is expensive, found none: no other one before this."""


class FairQueue:
    """Requests that have no lease yet."""

    def __init__(self, rules: QueueRules | None = None) -> None:
        self._rules = rules or QueueRules()
        self._by_shape: dict[Shape, _ShapeQueue] = {}
        self._entries: dict[str, _Entry] = {}
        self._last_finish_tag: dict[str, float] = {}
        self._queued_count: dict[str, int] = {}
        self._with_reservation: list[str] = []
        self._numbers = itertools.count()
        self._virtual_time = 0.0
        self._checked_at_version = -1

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._entries

    def push(self, request: Request, now_s: float, priority: int = 0) -> None:
        """Queues a request behind those of its render; ten points of priority halve a turn. The same id again
        changes nothing.
        """
        if request.id in self._entries:
            return
        finish_tag = max(self._virtual_time, self._last_finish_tag.get(request.owner, 0.0)) + _turn(priority)
        self._last_finish_tag[request.owner] = finish_tag
        self._queued_count[request.owner] = self._queued_count.get(request.owner, 0) + 1
        self._put(_Entry(finish_tag, next(self._numbers), request, priority, now_s))

    def set_priority(self, request_ids: Collection[str], priority: int) -> None:
        """Tags queued requests of one render anew, in their order, as if they had come with this priority
        when the first of them did. Ids that are not queued are left out.
        """
        moved = sorted(self._entries[one] for one in set(request_ids) if one in self._entries)
        tags: dict[str, float] = {}
        for entry in moved:
            owner = entry.request.owner
            tags[owner] = tags.get(owner, entry.finish_tag - _turn(entry.priority)) + _turn(priority)
            self._put(replace(entry, finish_tag=tags[owner], priority=priority))
        for owner in tags:
            of_owner = (one.finish_tag for one in self._entries.values() if one.request.owner == owner)
            self._last_finish_tag[owner] = max(of_owner)

    def _put(self, entry: _Entry) -> None:
        """Stores an entry; an older one of the same request is passed over when its heap comes to it."""
        request = entry.request
        self._entries[request.id] = entry
        heapq.heappush(self._by_shape.setdefault(request.shape, _ShapeQueue()).heap, entry)

    def remove(self, request_id: str, table: LeaseTable | None = None) -> bool:
        """Returns True when it was queued. With `table`, its reservations are released."""
        entry = self._entries.pop(request_id, None)
        if entry is None:
            return False
        owner = entry.request.owner
        self._queued_count[owner] -= 1
        if not self._queued_count[owner]:
            # Its next request starts from the present: a render can neither save up turns nor owe them.
            del self._queued_count[owner], self._last_finish_tag[owner]
        if request_id in self._with_reservation:
            self._with_reservation.remove(request_id)
            if table is not None:
                table.release_reservations(request_id)
        return True

    def ahead_of(self, request_id: str) -> int:
        """Returns how many requests come before it, in linear time."""
        mine = self._entries[request_id]
        return sum(1 for entry in self._entries.values() if entry < mine)

    def in_order(self) -> list[Request]:
        """Returns all queued requests, the next one first."""
        return [entry.request for entry in sorted(self._entries.values())]

    def admit(
        self, table: LeaseTable, now_s: float, avoid: Avoid | None = None, limit: int | None = None
    ) -> list[Lease]:
        """Returns leases for all requests that can run now, in order, at most `limit`. One that cannot run
        holds up only those of the same shape, and costs nothing again until room may have appeared.
        """
        avoided = _AvoidedNodes(avoid)
        granted: list[Lease] = []
        heads: list[tuple[_Entry, Shape]] = []
        for shape in list(self._by_shape):
            self._push_head(shape, table, avoided, heads)
        # Reserved cards fit their request only, which may by now be behind another of the same shape.
        for request_id in self._with_reservation:
            entry = self._entries[request_id]
            heapq.heappush(heads, (entry, entry.request.shape))
        while heads and (limit is None or len(granted) < limit):
            entry, shape = heapq.heappop(heads)
            request = entry.request
            if self._entries.get(request.id) is not entry:
                continue
            nodes = avoided[request.needs.engine]
            among = self._candidate_nodes(request, table, nodes)
            lease = table.grant(request, nodes, among=among, now_s=now_s)
            if lease is not None:
                granted.append(lease)
                self._virtual_time = max(self._virtual_time, entry.finish_tag)
                self.remove(request.id, table)
                self._push_head(shape, table, avoided, heads)
            elif (waiting := self._by_shape.get(shape)) is not None:
                waiting.refused_at_version, waiting.avoided = table.capacity_version, nodes
        self._check_reservations(table, avoided)
        self._reserve_for_long_waits(table, now_s, avoided)
        return granted

    def _push_head(
        self, shape: Shape, table: LeaseTable, avoided: _AvoidedNodes, heads: list[tuple[_Entry, Shape]]
    ) -> None:
        """Adds the first request of a shape to the heads, unless it is known not to fit."""
        waiting = self._by_shape.get(shape)
        if waiting is None:
            return
        head = self._head(waiting)
        if head is None:
            del self._by_shape[shape]
        elif (
            waiting.refused_at_version != table.capacity_version
            or waiting.avoided != avoided[shape.needs.engine]
        ):
            heapq.heappush(heads, (head, shape))

    def _head(self, waiting: _ShapeQueue) -> _Entry | None:
        while waiting.heap:
            entry = waiting.heap[0]
            if self._entries.get(entry.request.id) is entry:
                return entry
            heapq.heappop(waiting.heap)
        return None

    def _candidate_nodes(
        self, request: Request, table: LeaseTable, avoided: frozenset[str]
    ) -> set[str] | None:
        """Returns the nodes to try: once one of a shape did not fit, only those with capacity freed since and
        those where cards are reserved for it. None means all.
        """
        waiting = self._by_shape.get(request.shape)
        if waiting is None or waiting.refused_at_version < 0 or waiting.avoided != avoided:
            return None
        freed = table.nodes_freed_since(waiting.refused_at_version)
        if freed is not None and request.id in self._with_reservation:
            freed |= {node_id for (node_id, _), holder in table.reservations.items() if holder == request.id}
        return freed

    def _check_reservations(self, table: LeaseTable, avoided: _AvoidedNodes) -> None:
        """Updates reservations: releases cards that failed, and reserves the whole machine where memory or
        processor is short.
        """
        freed = table.nodes_freed_since(self._checked_at_version)
        self._checked_at_version = table.capacity_version
        for request_id in list(self._with_reservation):
            request = self._entries[request_id].request
            keys = [key for key, holder in table.reservations.items() if holder == request_id]
            usage = table.usage(keys[0][0]) if keys else None
            stays = usage is not None and usage.node.id not in avoided[request.needs.engine]
            if stays and freed is not None and keys[0][0] not in freed:
                continue
            wait = earliest_on(table, request, usage) if usage is not None else None
            if usage is None or wait is None or not stays:
                self._with_reservation.remove(request_id)
                table.release_reservations(request_id)
            elif missing := [key for key in cards_to_reserve(wait, usage.node) if key not in keys]:
                table.reserve(request_id, missing)

    def _reserve_for_long_waits(self, table: LeaseTable, now_s: float, avoided: _AvoidedNodes) -> None:
        for waiting in list(self._by_shape.values()):
            if len(self._with_reservation) >= self._rules.max_reservations:
                return
            head = self._head(waiting)
            if head is None or head.request.id in self._with_reservation:
                continue
            if now_s - head.since_s < self._rules.reserve_after_s or now_s < waiting.retry_reservation_at_s:
                continue
            wait = earliest(table, head.request, avoided[head.request.needs.engine])
            usage = table.usage(wait.node_id) if wait is not None else None
            if wait is None or usage is None:
                waiting.retry_reservation_at_s = now_s + self._rules.reserve_after_s
            else:
                table.reserve(head.request.id, cards_to_reserve(wait, usage.node))
                self._with_reservation.append(head.request.id)


def _turn(priority: int) -> float:
    """Returns how far a request of this priority moves the tag of its render on."""
    return math.exp2(-min(1000, max(-1000, priority)) / POINTS_PER_DOUBLING)


class _AvoidedNodes(dict[str, frozenset[str]]):
    """Asks once per engine in one pass over the queue."""

    def __init__(self, avoid: Avoid | None) -> None:
        super().__init__()
        self._avoid = avoid

    def __missing__(self, engine: str) -> frozenset[str]:
        self[engine] = nodes = self._avoid(engine) if self._avoid is not None else frozenset()
        return nodes
