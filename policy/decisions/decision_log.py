"""Writes decisions to the log of the process, secrets masked; by the decider, for every question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from policy.decisions.verdict import Decision, Verdict
from soundstage.telemetry import get_logger
from soundstage.telemetry.masking import without_secrets

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
