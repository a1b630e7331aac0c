"""`soundstage machines heal`: which machines are being healed, and an operator's say in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.farm.machine_calls import Name, call_machines
from app.cli.state import JsonFlag, output
from app.cli.times import minute

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

SHOWN = (
    "state",
    "cause",
    "finding",
    "reason",
    "spare",
    "restarts",
    "reinstalls",
    "since",
    "trace_id",
    "next",
)


def register(group: typer.Typer) -> None:
    """Adds the group `heal` to the group `machines`."""
    heal = typer.Typer(no_args_is_help=True, help="Self-healing: machines whose node fails.")
    group.add_typer(heal, name="heal")

    @heal.command("list")
    def list_healing(as_json: JsonFlag = False) -> None:
        """List the machines that are being healed, or need an operator for it."""
        found = call_machines(lambda api: api.get("/api/healing"))
        rows = (
            [one["machine"], one["state"], minute(one["since"]), one["finding"], one["reason"]]
            for one in found
        )
        columns = ["machine", "state", "since", "finding", "why"]
        output(as_json).listing(found, columns, rows, empty="No machine is failing.")

    @heal.command()
    def show(name: Name, as_json: JsonFlag = False) -> None:
        """Show what was found on a machine, what was done, and what needs consent."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get(f"/api/machines/{name}/healing"))
        if printer.as_json:
            printer.value(found)
            return
        if not found:
            printer.line(f"{name} has never been healed.")
            return
        for key in SHOWN:
            if found[0][key] not in (None, ""):
                printer.line(f"{key}: {found[0][key]}")
        for step in (found[0]["plan"] or {}).get("steps", ()):
            printer.line(f"- {step}")
        for one in found[1:]:
            printer.line(f"earlier: {minute(one['created_at'])} {one['state']}: {one['finding']}")

    @heal.command()
    def pause(name: Name, as_json: JsonFlag = False) -> None:
        """Stop healing of a machine until it is resumed."""
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/healing/pause"))
        output(as_json).answer(found, f"Healing of {found['machine']} is paused. {found['next']}")

    @heal.command()
    def resume(
        name: Name,
        confirm: Annotated[
            str,
            typer.Option(help="The machine's name again, where the plan that `show` prints needs consent."),
        ] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Go on with a machine; with --confirm as the plan says."""

        async def work(api: MachinesApi) -> Any:
            cases = await api.get(f"/api/machines/{name}/healing")
            plan = cases[0]["plan"] if cases else None
            body = {"confirm": confirm, "plan": None if plan is None else plan["digest"]}
            return await api.post(f"/api/machines/{name}/healing/resume", body)

        found = call_machines(work)
        output(as_json).answer(found, f"Healing of {found['machine']} goes on: it is {found['state']}.")
