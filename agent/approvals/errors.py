"""Errors of approvals, and the one that is no failure: a call that waits."""

from __future__ import annotations

from soundstage.errors import Conflict, SoundstageError


class ApprovalRequired(SoundstageError):
    """Says that nothing has happened yet: people have to agree first."""

    approval_id: str = ""


def approval_required(approval_id: str, approvers: int, why: str, plan: str) -> ApprovalRequired:
    """Returns the error of a call that waits, with its plan."""
    people = "one person agrees" if approvers == 1 else f"{approvers} people agree"
    base = SoundstageError(
        "approval.required",
        f"This waits until {people}, because {why}:\n{plan}",
        f"Decide on the page, or with `soundstage approvals approve {approval_id}`.",
        202,
    )
    waits = ApprovalRequired(base.code, base.message, base.hint, base.status)
    waits.approval_id = approval_id
    return waits


def already_decided(state: str, voters: str) -> Conflict:
    """Returns the error for an approval that is decided, runs or has ended."""
    by = f" by {voters}" if voters else ""
    return Conflict(
        "approval.decided", f"This approval is {state} already{by}.", "Ask again if it is still wanted."
    )
