"""Errors of approvals, and the one that is no failure: a call that waits."""

from __future__ import annotations

from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError


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


def no_approval(approval_id: str) -> NotFound:
    """Returns the error for an unknown approval, or one of another tenant."""
    return NotFound(
        "approval.not_found",
        f"There is no approval {approval_id!r}.",
        "List them: `soundstage approvals list`.",
    )


def already_decided(state: str, voters: str) -> Conflict:
    """Returns the error for an approval that is decided, runs or has ended."""
    by = f" by {voters}" if voters else ""
    return Conflict(
        "approval.decided", f"This approval is {state} already{by}.", "Ask again if it is still wanted."
    )


def own_question() -> Forbidden:
    """Returns the error for a requester who votes on their own call."""
    return Forbidden(
        "approval.own_question",
        "Whoever asks cannot also agree: neither with the same key nor with a login of that key.",
        "Ask somebody with a key of their own, or decide at the server's prompt.",
    )


def already_voted() -> Conflict:
    """Returns the error for a second vote of one person."""
    return Conflict(
        "approval.voted", "You have agreed already; another person has to agree too.", "Ask somebody else."
    )


def plan_changed(approval_id: str) -> Conflict:
    """Returns the error for a plan that has changed since the approval."""
    return Conflict(
        "approval.drifted",
        f"What {approval_id} agreed to is not what would happen now, so it is void.",
        "Ask again, and look at the new plan.",
    )
