"""Nodes on which an engine has failed, avoided for a while; told by the Nomad adapter, read by the waiting
line and `explain`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HALF_LIFE_S = 1800.0
LIMIT = 2.5
"""Three failures within some minutes are over it; three within some hours are not."""
FORGIVEN = 1.0
SURELY_S = 600.0


@dataclass(frozen=True, slots=True)
class Avoided:
    node_id: str
    engine: str
    failures: int
    """In the row that led to it."""
    until_s: float


@dataclass(slots=True)
class _Score:
    value: float = 0.0
    at_s: float = 0.0
    failures: int = 0
    until_s: float = -math.inf


class BlockList:
    """Each failure adds one to a score that halves every `half_life_s`. Over the limit the pair is avoided
    until its score has sunk to one. A success forgives at once.
    """

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._half_life_s = half_life_s
        self._scores: dict[str, dict[str, _Score]] = {}

    def failed(self, node_id: str, engine: str, now_s: float, *, surely: bool = False) -> Avoided | None:
        """Only for failures that may be the node's fault: not for a bad spec. What is avoided now, or None.

        `surely`: nothing else can be the cause, as with a full disk; avoided at once, for some minutes.
        """
        score = self._scores.setdefault(engine, {}).setdefault(node_id, _Score(at_s=now_s))
        value = self._value(score, now_s)
        score.failures = score.failures + 1 if value >= FORGIVEN / 2 else 1
        # Clocks of machines differ: a failure reported late never turns the time back.
        score.value, score.at_s = value + 1.0, max(now_s, score.at_s)
        if score.value > LIMIT:
            score.until_s = score.at_s + self._half_life_s * math.log2(score.value / FORGIVEN)
        if surely:
            score.until_s = max(score.until_s, score.at_s + SURELY_S)
        return self.avoided(node_id, engine, now_s)

    def succeeded(self, node_id: str, engine: str) -> None:
        """Also what a person calls to clear an entry."""
        nodes = self._scores.get(engine, {})
        nodes.pop(node_id, None)
        if not nodes:
            self._scores.pop(engine, None)

    def avoided(self, node_id: str, engine: str, now_s: float) -> Avoided | None:
        score = self._scores.get(engine, {}).get(node_id)
        if score is None or score.until_s <= now_s:
            return None
        return Avoided(node_id, engine, score.failures, score.until_s)

    def nodes(self, engine: str, now_s: float) -> frozenset[str]:
        """Nodes that this engine stays away from now."""
        scores = self._scores.get(engine)
        if not scores:
            return frozenset()
        return frozenset(node_id for node_id, score in scores.items() if score.until_s > now_s)

    def forget_old(self, now_s: float) -> None:
        """Drops entries that no longer matter, so that the list stays as short as the trouble."""
        for engine, nodes in list(self._scores.items()):
            for node_id, score in list(nodes.items()):
                if score.until_s <= now_s and self._value(score, now_s) < FORGIVEN / 8:
                    self.succeeded(node_id, engine)

    def _value(self, score: _Score, now_s: float) -> float:
        return score.value * math.exp2(-max(0.0, now_s - score.at_s) / self._half_life_s)
