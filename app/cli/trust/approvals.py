"""`soundstage approvals`: what waits for people, decided at this machine's prompt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.printing import Printer
from app.cli.state import Invocation, JsonFlag, invocation, output
from app.cli.times import minute
from app.cli.words import segment

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi

OPEN = ("pending", "approved")
VOID = "void"
GOING_ON = ("approved", "running")
TIMEOUT_S, POLL_S = 10.0, 0.2

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "approvals")

    @group.command("list")
    def list_approvals(
        everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List what waits for a yes, the newest first."""
        states = None if everything else list(OPEN)
        found = call_studio(lambda api: api.get("/api/approvals", state=states))
        rows = (
            [
                one["id"],
                one["state"],
                one["tool"],
                one["requester_name"],
                f"{_agreed(one)} of {one['approvers']}",
                minute(one["expires_at"]),
            ]
            for one in found
        )
        columns = ["id", "state", "tool", "asked by", "agreed", "until"]
        output(as_json).listing(found, columns, rows, empty="Nothing waits for a yes.")

    @group.command()
    def show(approval_id: str, as_json: JsonFlag = False) -> None:
        """Show what one of them would change, and who has said what."""
        _tell(output(as_json), call_studio(lambda api: api.get(_path(approval_id))))

    @group.command()
    def approve(approval_id: str, reason: Reason = "", as_json: JsonFlag = False) -> None:
        """Agree to the plan. The call runs as soon as enough people have agreed."""
        called = invocation()
        found = _vote(called, approval_id, reason, agrees=True)
        _tell(output(as_json), found)
        if found["state"] == VOID:
            # Nothing was done: a script must not take it for a yes that counted.
            raise typer.Exit(1)

    @group.command()
    def deny(approval_id: str, reason: Reason = "", as_json: JsonFlag = False) -> None:
        """Refuse it; one no is enough."""
        called = invocation()
        _tell(output(as_json), _vote(called, approval_id, reason, agrees=False))


def _vote(called: Invocation, approval_id: str, reason: str, *, agrees: bool) -> dict[str, Any]:
    import asyncio

    async def vote(api: StudioApi) -> dict[str, Any]:
        verb = "approve" if agrees else "deny"
        found: dict[str, Any] = await api.post(f"{_path(approval_id)}/{verb}", {"reason": reason})
        if await api.run_approved():
            return dict(await api.get(_path(approval_id)))
        deadline = time.monotonic() + TIMEOUT_S
        # A server runs at once what is agreed to; how it ended is worth a moment.
        while found["state"] in GOING_ON and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            found = await api.get(_path(approval_id))
        return found

    return call_studio(vote)


def _path(approval_id: str) -> str:
    return f"/api/approvals/{segment(approval_id)}"


def _agreed(approval: dict[str, Any]) -> int:
    return sum(vote["agrees"] for vote in approval["votes"])


def _tell(printer: Printer, approval: dict[str, Any]) -> None:
    from agent.tools.plan import Plan

    lines = [
        f"{vote['name']} says {'yes' if vote['agrees'] else 'no'}. {vote['reason']}".strip()
        for vote in approval["votes"]
    ]
    agreed = f"{_agreed(approval)} of {approval['approvers']} agreed."
    request = f"{approval['requester_name']} asked for {approval['tool']}."
    lines = [
        f"{approval['id']} is {approval['state']}: {request}",
        Plan.model_validate(approval["plan"]).sentence(),
        f"Why it waits: {approval['why']}. {agreed}",
        *lines,
        *([approval["outcome"]] if approval["outcome"] else []),
    ]
    printer.answer(approval, "\n".join(lines))
