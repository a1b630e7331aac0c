"""The protocol of engines that evaluate questions: the embedded evaluator or an OPA server; chosen by
`policy.engine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from policy.decisions.verdict import Decision
from soundstage.errors import Unavailable


class Engine(Protocol):
    """Evaluates the Rego of one revision."""

    @property
    def revision(self) -> str: ...

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """Raises Unavailable (`policy.engine_failed`) when there is no answer: never an allow by accident."""
        ...

    async def close(self) -> None: ...


def engine_failed(reason: str) -> Unavailable:
    """Returns the error for a question without a decision; the caller is refused."""
    return Unavailable(
        "policy.engine_failed",
        f"The policy could not be evaluated: {reason}.",
        "Try again; if it stays, look at the log and at `policy.opa_url`.",
    )
