"""What can go wrong with approvals, and the one error that is no failure: a call that waits."""

from __future__ import annotations

from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError


class ApprovalRequired(SoundstageError):
    """Nothing has happened yet: people have to agree first."""

    default_status = 202

    def __init__(self, approval_id: str, approvers: int, why: str, plan: str) -> None:
        people = "one person" if approvers == 1 else f"{approvers} people"
        super().__init__(
            "approval.required",
            f"This waits until {people} agree, because {why}:\n{plan}",
            f"Decide on the page, or with `soundstage approvals approve {approval_id}`.",
        )
        self.approval_id = approval_id
        self.approvers = approvers
        self.why = why
        self.plan = plan

    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        arguments = (self.approval_id, self.approvers, self.why, self.plan)
        return (type(self), arguments, {"headers": self.headers})


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
        "Whoever asks cannot also agree: neither in the same conversation nor with the same key.",
        "Decide on the page or at the server's prompt, or ask somebody else.",
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
