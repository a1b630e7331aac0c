"""Decisions of the policy; returned to the guard of routes and to the wrapper of tools."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

from soundstage.errors import Forbidden

MAX_APPROVERS = 5


class Verdict(StrEnum):
    """`approve`: not before people have agreed."""

    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"


class Decision(BaseModel, extra="forbid", frozen=True):
    """`approvers`: how many people have to agree; `revision`: by which policy it was decided."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    approvers: int = Field(default=0, ge=0, le=MAX_APPROVERS)
    revision: str = ""

    def refusal(self, permission: str, role: str) -> Forbidden:
        """Returns the error for a caller without the permission."""
        why = "; ".join(self.reasons) or "the policy does not allow it"
        return Forbidden(
            "policy.forbidden",
            f"This is not allowed: {why} (permission {permission}, role {role}).",
            "Ask for something else, or an administrator for a key with more rights.",
        )
