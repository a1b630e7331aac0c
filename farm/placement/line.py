"""The waiting line on our side: what can run now is taken out of it in a fair order, the rest never reaches
Nomad. Called by the Nomad adapter on every change; pure logic on the book of leases.

Order is self-clocked fair queueing (S. J. Golestani, INFOCOM 1994): each request gets a stamp when it comes,
one turn behind the last one of its render, or behind the present if that render has none; a turn is shorter
at a higher priority. The smallest stamp goes first, and the present is the stamp that went last. So renders
of one priority take turns, a render that used an idle farm is not punished for it, and nobody starves: what
comes later gets a later stamp.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from farm.placement.book import Book
from farm.placement.cards import Request, Shape
from farm.placement.leases import Lease
from farm.placement.waits import earliest, earliest_on, keys_to_hold

Avoid = Callable[[str], frozenset[str]]
"""From an engine to the ids of nodes that it stays away from now."""

POINTS_PER_DOUBLING = 10.0


@dataclass(frozen=True, slots=True)
class LineRules:
    """`patience_s`: after so long the foremost request of its shape gets cards held for it, since small
    requests would overtake a large one for ever. At most `max_holds` requests at once hold cards.
    """

    patience_s: float = 120.0
    max_holds: int = 8


@dataclass(order=True, slots=True)
class _Place:
    stamp: float
    number: int
    request: Request = field(compare=False)
    priority: int = field(compare=False)
    since_s: float = field(compare=False)


@dataclass(slots=True)
class _Row:
    """Requests of one shape: when the first does not fit, none does."""

    heap: list[_Place] = field(default_factory=list)
    refused_at: int = -1
    """`gains` of the book when one of them last did not fit."""
    avoided: frozenset[str] = frozenset()
    """The nodes that were avoided then."""
    hopeless_until_s: float = 0.0
    """No card could be held for its first when last looked at; that look is dear, so not again before."""


class WaitingLine:
    """Requests that have no lease yet."""

    def __init__(self, rules: LineRules | None = None) -> None:
        self._rules = rules or LineRules()
        self._rows: dict[Shape, _Row] = {}
        self._places: dict[str, _Place] = {}
        self._last: dict[str, float] = {}
        self._waiting_of: dict[str, int] = {}
        self._holders: list[str] = []
        self._numbers = itertools.count()
        self._present = 0.0
        self._checked_at = -1

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._places

    def push(self, request: Request, now_s: float, priority: int = 0) -> None:
        """At the end of its render's turns; ten points of priority halve a turn. The same id again changes
        nothing.
        """
        if request.id in self._places:
            return
        turn = 2.0 ** (-min(1000, max(-1000, priority)) / POINTS_PER_DOUBLING)
        stamp = max(self._present, self._last.get(request.owner, 0.0)) + turn
        place = _Place(stamp, next(self._numbers), request, priority, now_s)
        self._last[request.owner] = stamp
        self._waiting_of[request.owner] = self._waiting_of.get(request.owner, 0) + 1
        self._places[request.id] = place
        heapq.heappush(self._rows.setdefault(request.shape, _Row()).heap, place)

    def remove(self, request_id: str, book: Book | None = None) -> bool:
        """True when it was waiting. Give the book, so that cards held for it are let go."""
        place = self._places.pop(request_id, None)
        if place is None:
            return False
        owner = place.request.owner
        self._waiting_of[owner] -= 1
        if not self._waiting_of[owner]:
            # Its next request starts from the present: a render can neither save up turns nor owe them.
            del self._waiting_of[owner], self._last[owner]
        if request_id in self._holders:
            self._holders.remove(request_id)
            if book is not None:
                book.let_go(request_id)
        return True

    def request(self, request_id: str) -> Request | None:
        place = self._places.get(request_id)
        return place.request if place else None

    def ahead_of(self, request_id: str) -> int:
        """How many come before it. Looks at all who wait."""
        mine = self._places[request_id]
        return sum(1 for place in self._places.values() if place < mine)

    def in_order(self) -> list[Request]:
        """All who wait, the next one first."""
        return [place.request for place in sorted(self._places.values())]

    def admit(
        self, book: Book, now_s: float, avoid: Avoid | None = None, limit: int | None = None
    ) -> list[Lease]:
        """Leases for all who can run now, in order, at most `limit`. Who cannot run holds up only those that
        need the same, and costs nothing again until room may have appeared.
        """
        avoided = _Avoided(avoid)
        granted: list[Lease] = []
        heads: list[tuple[_Place, Shape]] = []
        for shape in list(self._rows):
            self._offer(shape, book, avoided, heads)
        # Cards that are held fit their holder only, who may by now stand behind another of the same shape.
        for request_id in self._holders:
            place = self._places[request_id]
            heapq.heappush(heads, (place, place.request.shape))
        while heads and (limit is None or len(granted) < limit):
            place, shape = heapq.heappop(heads)
            request = place.request
            if self._places.get(request.id) is not place:
                continue
            nodes = avoided[request.needs.engine]
            among = self._worth_a_look(request, book, nodes)
            lease = book.grant(request, nodes, among=among, now_s=now_s)
            if lease is not None:
                granted.append(lease)
                self._present = max(self._present, place.stamp)
                self.remove(request.id, book)
                self._offer(shape, book, avoided, heads)
            elif (row := self._rows.get(shape)) is not None:
                row.refused_at, row.avoided = book.gains, nodes
        self._check_holds(book, avoided)
        self._hold_for_the_patient(book, now_s, avoided)
        return granted

    def _offer(self, shape: Shape, book: Book, avoided: _Avoided, heads: list[tuple[_Place, Shape]]) -> None:
        """Puts the first of a row among the heads, unless it is known not to fit."""
        row = self._rows.get(shape)
        if row is None:
            return
        head = self._head(row)
        if head is None:
            del self._rows[shape]
        elif row.refused_at != book.gains or row.avoided != avoided[shape.needs.engine]:
            heapq.heappush(heads, (head, shape))

    def _head(self, row: _Row) -> _Place | None:
        while row.heap:
            place = row.heap[0]
            if self._places.get(place.request.id) is place:
                return place
            heapq.heappop(row.heap)
        return None

    def _worth_a_look(self, request: Request, book: Book, avoided: frozenset[str]) -> set[str] | None:
        """Once one of a shape did not fit anywhere, only nodes that have gained room since can take the
        next one, and those where cards are held for it.
        """
        row = self._rows.get(request.shape)
        if row is None or row.refused_at < 0 or row.avoided != avoided:
            return None
        gained = book.gained_since(row.refused_at)
        if gained is not None and request.id in self._holders:
            gained |= {node_id for (node_id, _), holder in book.holds.items() if holder == request.id}
        return gained

    def _check_holds(self, book: Book, avoided: _Avoided) -> None:
        """A hold follows what happens: a card that fails is let go, a machine that is short of memory or
        processor is kept as a whole.
        """
        gained, self._checked_at = book.gained_since(self._checked_at), book.gains
        for request_id in list(self._holders):
            request = self._places[request_id].request
            keys = [key for key, holder in book.holds.items() if holder == request_id]
            desk = book.desk(keys[0][0]) if keys else None
            stays = desk is not None and desk.node.id not in avoided[request.needs.engine]
            if stays and gained is not None and keys[0][0] not in gained:
                continue
            wait = earliest_on(book, request, desk) if desk is not None else None
            if desk is None or wait is None or not stays:
                self._holders.remove(request_id)
                book.let_go(request_id)
            elif missing := [key for key in keys_to_hold(wait, desk.node) if key not in keys]:
                book.hold(request_id, missing)

    def _hold_for_the_patient(self, book: Book, now_s: float, avoided: _Avoided) -> None:
        for row in list(self._rows.values()):
            if len(self._holders) >= self._rules.max_holds:
                return
            head = self._head(row)
            if head is None or head.request.id in self._holders:
                continue
            if now_s - head.since_s < self._rules.patience_s or now_s < row.hopeless_until_s:
                continue
            wait = earliest(book, head.request, avoided[head.request.needs.engine])
            desk = book.desk(wait.node_id) if wait is not None else None
            if wait is None or desk is None:
                row.hopeless_until_s = now_s + self._rules.patience_s
            else:
                book.hold(head.request.id, keys_to_hold(wait, desk.node))
                self._holders.append(head.request.id)


class _Avoided(dict[str, frozenset[str]]):
    """Asks once per engine in a look at the line."""

    def __init__(self, avoid: Avoid | None) -> None:
        super().__init__()
        self._avoid = avoid

    def __missing__(self, engine: str) -> frozenset[str]:
        self[engine] = nodes = self._avoid(engine) if self._avoid is not None else frozenset()
        return nodes
