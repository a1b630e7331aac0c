"""Decides, caches decisions and logs them; called by the guard of routes and the wrapper of tools."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from policy.decisions.engine import Engine
from policy.decisions.question import Action, Question, digest
from policy.decisions.verdict import Decision, Verdict
from soundstage.telemetry import get_logger, metrics
from soundstage.telemetry.masking import without_secrets
from soundstage.tracing import TENANT, span

if TYPE_CHECKING:
    from policy.principal import Principal

CACHED = 4096


Which = Literal["all", "refused", "none"]
MAX_TEXT = 200


class DecisionLog:
    """`refused` leaves out what was allowed, which is nearly everything."""

    def __init__(self, which: Which = "refused") -> None:
        self._which = which
        self._log = get_logger("policy.decisions")

    def note(self, document: Mapping[str, Any], decision: Decision, *, cached: bool) -> None:
        """One line: what was asked, what was answered, why, and by which revision."""
        if self._which == "none" or (self._which == "refused" and decision.verdict is Verdict.ALLOW):
            return
        self._log.info(
            "policy decision",
            verdict=decision.verdict.value,
            reasons=list(decision.reasons),
            approvers=decision.approvers,
            revision=decision.revision,
            cached=cached,
            **mask_question(document),
        )


def mask_question(document: Mapping[str, Any]) -> dict[str, Any]:
    """The question without secrets, and with long texts cut."""
    fields = {
        "action": document["action"],
        "subject": document["subject"],
        "arguments": {name: _short(value) for name, value in document["arguments"].items()},
    }
    return without_secrets(fields)


def _short(value: Any) -> Any:
    return f"{value[:MAX_TEXT]}…" if isinstance(value, str) and len(value) > MAX_TEXT else value


class Decider:
    """Decides all actions of routes and tools.

    A decision is cached under the revision of the rules and the whole question. The question holds role,
    scopes, state of the key and tenant of the caller, so a revoked or narrowed key never gets a cached
    decision from before.
    """

    def __init__(self, engine: Engine, log: DecisionLog | None = None, cache_size: int = CACHED) -> None:
        self.engine = engine
        self._log = log or DecisionLog()
        self._limit = cache_size
        self._decisions: OrderedDict[tuple[str, str], Decision] = OrderedDict()

    async def decide(self, principal: Principal, action: Action) -> Decision:
        """Raises Unavailable when the policy cannot be evaluated."""
        document = Question(principal, action).document()
        key = (self.engine.revision, digest(document))
        decision = self._decisions.get(key)
        cached = decision is not None
        if decision is None:
            about = {"soundstage.rule": action.name, TENANT: principal.tenant}
            with span("policy decision", about) as recorded:
                decision = await self.engine.decide(document)
                recorded.set_attribute("soundstage.verdict", decision.verdict.value)
            self._decisions[key] = decision
            if len(self._decisions) > self._limit:
                self._decisions.popitem(last=False)
        else:
            self._decisions.move_to_end(key)
        metrics.POLICY_DECISIONS.inc(decision.verdict)
        self._log.note(document, decision, cached=cached)
        return decision

    async def require(self, principal: Principal, action: Action) -> None:
        """Raises Forbidden unless it is allowed without an approval."""
        decision = await self.decide(principal, action)
        if decision.verdict is not Verdict.ALLOW:
            raise decision.refusal(action.permission, principal.role)

    async def close(self) -> None:
        """Ends the engine's connections."""
        await self.engine.close()
