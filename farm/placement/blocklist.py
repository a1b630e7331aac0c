"""Blocks nodes for an engine that has failed there, for a while; written by the Nomad adapter, read by the
queue and `explain`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HALF_LIFE_S = 1800.0
LIMIT = 2.5
"""Three failures within some minutes are over it; three within some hours are not."""
FORGIVEN = 1.0
CERTAIN_S = 600.0


@dataclass(slots=True)
class Score:
    """`failures` counts those in a row; the node is avoided until `until_s`."""

    value: float = 0.0
    at_s: float = 0.0
    failures: int = 0
    until_s: float = -math.inf


class BlockList:
    """Each failure adds one to a score that halves every HALF_LIFE_S. Over the limit the pair is avoided
    until its score has sunk to one. A success forgives at once. Failures of work that began before the block
    count no more: one full disk fails all that runs there.
    """

    def __init__(self) -> None:
        self._scores: dict[str, dict[str, Score]] = {}

    def record_failure(
        self, node_id: str, engine: str, now_s: float, *, certain: bool = False
    ) -> Score | None:
        """Counts a failure that may be the node's fault, not a bad spec. Returns the block, or None.

        `certain`: nothing else can be the cause, as with a full disk; blocked at once, for some minutes.
        """
        if (avoided := self.find_avoided(node_id, engine, now_s)) is not None:
            return avoided
        score = self._scores.setdefault(engine, {}).setdefault(node_id, Score(at_s=now_s))
        value = self._value(score, now_s)
        score.failures = score.failures + 1 if value >= FORGIVEN / 2 else 1
        # Clocks of machines differ: a failure reported late never turns the time back.
        score.value, score.at_s = value + 1.0, max(now_s, score.at_s)
        if score.value > LIMIT:
            score.until_s = score.at_s + HALF_LIFE_S * math.log2(score.value / FORGIVEN)
        if certain:
            score.until_s = max(score.until_s, score.at_s + CERTAIN_S)
        return self.find_avoided(node_id, engine, now_s)

    def record_success(self, node_id: str, engine: str) -> None:
        """Removes the entry."""
        nodes = self._scores.get(engine, {})
        nodes.pop(node_id, None)
        if not nodes:
            self._scores.pop(engine, None)

    def clear_node(self, node_id: str) -> None:
        """Removes all entries of a node: an operator or its own checks let it work again."""
        for engine in list(self._scores):
            self.record_success(node_id, engine)

    def find_avoided(self, node_id: str, engine: str, now_s: float) -> Score | None:
        score = self._scores.get(engine, {}).get(node_id)
        return None if score is None or score.until_s <= now_s else score

    def nodes(self, engine: str, now_s: float) -> frozenset[str]:
        """Returns the nodes that are blocked for this engine now."""
        scores = self._scores.get(engine)
        if not scores:
            return frozenset()
        return frozenset(node_id for node_id, score in scores.items() if score.until_s > now_s)

    def forget_old(self, now_s: float) -> None:
        """Drops entries that no longer matter, so that the list stays as short as the trouble."""
        for engine, nodes in list(self._scores.items()):
            for node_id, score in list(nodes.items()):
                if score.until_s <= now_s and self._value(score, now_s) < FORGIVEN / 8:
                    self.record_success(node_id, engine)

    def _value(self, score: Score, now_s: float) -> float:
        return score.value * math.exp2(-max(0.0, now_s - score.at_s) / HALF_LIFE_S)
