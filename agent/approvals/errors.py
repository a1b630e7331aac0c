"""What can go wrong with approvals, and the one error that is no failure: a call that waits."""

from __future__ import annotations

from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError


class ApprovalRequired(SoundstageError):
    """Nothing has happened yet: people have to agree first."""

    approval_id: str = ""


def approval_required(approval_id: str, approvers: int, why: str, plan: str) -> ApprovalRequired:
    """A call that waits, with what it would do."""
    people = "one person agrees" if approvers == 1 else f"{approvers} people agree"
    told = SoundstageError(
        "approval.required",
        f"This waits until {people}, because {why}:\n{plan}",
        f"Decide on the page, or with `soundstage approvals approve {approval_id}`.",
        202,
    )
    waits = ApprovalRequired(told.code, told.message, told.hint, told.status)
    waits.approval_id = approval_id
    return waits


def no_approval(approval_id: str) -> NotFound:
    """No such approval, or somebody else's tenant."""
    return NotFound(
        "approval.not_found",
        f"There is no approval {approval_id!r}.",
        "List them: `soundstage approvals list`.",
    )


def already(state: str, who: str) -> Conflict:
    """Somebody was faster, or the time was."""
    by = f" by {who}" if who else ""
    return Conflict(
        "approval.decided", f"This approval is {state} already{by}.", "Ask again if it is still wanted."
    )


def own_question() -> Forbidden:
    """Whoever asks does not answer."""
    return Forbidden(
        "approval.own_question",
        "Whoever asks cannot also agree: neither with the same key nor with a login of that key.",
        "Ask somebody with a key of their own, or decide at the server's prompt.",
    )


def voted() -> Conflict:
    """Two people are two people."""
    return Conflict(
        "approval.voted", "You have agreed already; another person has to agree too.", "Ask somebody else."
    )


def drifted(approval_id: str) -> Conflict:
    """The world changed between yes and now."""
    return Conflict(
        "approval.drifted",
        f"What {approval_id} agreed to is not what would happen now, so it is void.",
        "Ask again, and look at the new plan.",
    )
