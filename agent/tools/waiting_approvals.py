"""The tool that shows which calls wait until people agree to them."""

from __future__ import annotations

from pydantic import BaseModel

from agent.presentation import Blocks, Items, page
from agent.presentation.text import count
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool


class ListApprovals(ToolRequest):
    pass


class WaitingCall(BaseModel, frozen=True):
    """A call that waits; `changes` says what it would do."""

    approval_id: str
    changes: tuple[str, ...]
    requester: str


class WaitingCalls(ToolResult):
    approvals: tuple[WaitingCall, ...]

    def presentation(self) -> Blocks:
        if not self.approvals:
            return page("Nothing waits for approval.")
        number = count(len(self.approvals), "request")
        return page(
            f"{number} {'waits' if len(self.approvals) == 1 else 'wait'} for approval, with who asked:",
            Items(mark="•", rows=tuple(map(_words, self.approvals))),
            "Decide on the page of approvals, or with `soundstage approvals approve ID`.",
        )


def _words(call: WaitingCall) -> tuple[str, str]:
    first, *more = call.changes or ("Nothing would change",)
    others = f" (+ {len(more)})" if more else ""
    return first, f"{others} ({call.requester}, {call.approval_id})"


@tool(Act("read", "approval:read", label="What waits for approval"), reveals=True)
async def list_approvals(context: ToolContext, request: ListApprovals) -> WaitingCalls:
    """Show which changes wait until people agree to them, and who asked for each."""
    found = await context.services.waiting_approvals(context.principal)
    return WaitingCalls(
        approvals=tuple(
            WaitingCall(
                approval_id=one.id,
                changes=tuple(
                    f"{change.what}: {change.where}" if change.where else change.what
                    for change in one.plan.changes
                ),
                requester=one.requester_name,
            )
            for one in found
        )
    )
