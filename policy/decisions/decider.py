"""Decides, remembers decisions and logs them; the guard of routes and the wrapper of tools ask it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from policy.decisions.decision_log import DecisionLog
from policy.decisions.engine import Engine
from policy.decisions.question import Action, Question, digest
from policy.decisions.verdict import Decision, Verdict

if TYPE_CHECKING:
    from policy.principal import Principal

REMEMBERED = 4096


class Decider:
    """Decides every question of routes and tools.

    A decision is remembered for exactly the same question under the same revision. The question holds all
    that is known of the asker at this moment (role, scopes, state of the key, tenant), so that a key which
    was revoked or narrowed a moment ago is another question.
    """

    def __init__(self, engine: Engine, log: DecisionLog | None = None, remembered: int = REMEMBERED) -> None:
        self.engine = engine
        self._log = log or DecisionLog()
        self._limit = remembered
        self._known: OrderedDict[tuple[str, str], Decision] = OrderedDict()

    async def decide(self, principal: Principal, action: Action) -> Decision:
        """Raises Unavailable when the policy cannot be evaluated."""
        document = Question(principal, action).document()
        key = (self.engine.revision, digest(document))
        decision = self._known.get(key)
        cached = decision is not None
        if decision is None:
            decision = await self.engine.decide(document)
            self._known[key] = decision
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        self._log.note(document, decision, cached=cached)
        return decision

    async def require(self, principal: Principal, action: Action) -> None:
        """Raises Forbidden unless it is allowed as it is, without anybody's approval."""
        decision = await self.decide(principal, action)
        if decision.verdict is not Verdict.ALLOW:
            raise decision.refusal(action.permission, principal.role)

    async def close(self) -> None:
        """Ends the engine's connections."""
        await self.engine.close()
