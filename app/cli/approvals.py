"""`soundstage approvals`: what waits for people, decided at this machine's prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.approvals.schemas import ApprovalOut
from agent.approvals.states import ApprovalState
from app.cli.opening import with_services
from app.cli.printing import Printer
from app.cli.state import Invocation, JsonFlag, invocation
from app.composition import Services
from policy import Principal

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="See and decide which tool calls wait for people.", no_args_is_help=True)
    cli.add_typer(group, name="approvals")

    @group.command("list")
    def list_approvals(
        context: typer.Context,
        everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List what waits for a yes, the newest first."""
        called = invocation(context)
        states = () if everything else (ApprovalState.PENDING, ApprovalState.APPROVED)
        by = Principal.local_admin()
        found = with_services(called, lambda services: services.deciding.approvals.list(by, states))
        rows = (
            [
                one.id,
                one.state,
                one.tool,
                one.requester_name,
                f"{_agreed(one)} of {one.approvers}",
                one.expires_at,
            ]
            for one in found
        )
        columns = ["id", "state", "tool", "asked by", "agreed", "until"]
        called.printer(as_json).listing(found, columns, rows, empty="Nothing waits for a yes.")

    @group.command()
    def show(context: typer.Context, approval_id: str, as_json: JsonFlag = False) -> None:
        """Show what one of them would change, and who has said what."""
        called = invocation(context)
        by = Principal.local_admin()
        found = with_services(called, lambda services: services.deciding.approvals.get(approval_id, by))
        _tell(called.printer(as_json), found)

    @group.command()
    def approve(
        context: typer.Context, approval_id: str, reason: Reason = "", as_json: JsonFlag = False
    ) -> None:
        """Agree to the plan. The call runs as soon as enough people have agreed."""
        called = invocation(context)
        _tell(called.printer(as_json), _vote(called, approval_id, reason, agrees=True))

    @group.command()
    def deny(
        context: typer.Context, approval_id: str, reason: Reason = "", as_json: JsonFlag = False
    ) -> None:
        """Refuse it; one no is enough."""
        called = invocation(context)
        _tell(called.printer(as_json), _vote(called, approval_id, reason, agrees=False))


def _vote(called: Invocation, approval_id: str, reason: str, *, agrees: bool) -> ApprovalOut:
    by = Principal.local_admin()

    async def vote(services: Services) -> ApprovalOut:
        await services.deciding.vote(approval_id, by, agrees=agrees, reason=reason)
        # A server that is up may be faster; whoever claims it first runs it, once.
        await services.deciding.run_approved()
        return await services.deciding.approvals.get(approval_id, by)

    return with_services(called, vote)


def _agreed(approval: ApprovalOut) -> int:
    return sum(vote.agrees for vote in approval.votes)


def _tell(printer: Printer, approval: ApprovalOut) -> None:
    said = [
        f"{vote.name} says {'yes' if vote.agrees else 'no'}. {vote.reason}".strip() for vote in approval.votes
    ]
    lines = [
        f"{approval.id} is {approval.state}: {approval.requester_name} asked for {approval.tool}.",
        approval.plan.sentence(),
        f"Why it waits: {approval.why}. {_agreed(approval)} of {approval.approvers} agreed.",
        *said,
        *([approval.outcome] if approval.outcome else []),
    ]
    printer.answer(approval, "\n".join(lines))
