"""`soundstage machines announce`, `announced` and `unannounce`: machines that are expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from app.cli.machine_calls import asked, said
from app.cli.machine_power import secret_from
from app.cli.state import JsonFlag, invocation

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

Serial = Annotated[str, typer.Argument(help="The serial number that its firmware tells.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `machines`."""

    @group.command()
    def announce(
        context: typer.Context,
        serial: Serial,
        secret_file: Annotated[
            Path | None, typer.Option(help="What its chassis asset tag is set to; asked for if left out.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Expect a machine: by the rule `announced-machines` it joins once it proves the secret."""
        called = invocation(context)
        body = {"serial": serial, "secret": secret_from(secret_file)}
        found = asked(called, lambda api: api.post("/api/announcements", body))
        said(called.printer(as_json), found, f"A machine with the serial number {serial} is expected.")

    @group.command()
    def announced(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List the machines that are expected, and those that have come."""
        called = invocation(context)
        found = asked(called, lambda api: api.get("/api/announcements"))
        rows = (
            [one["serial"], one["machine_id"] or "expected", one["announced_by"], one["announced_at"][:16]]
            for one in found
        )
        columns = ["serial number", "machine", "announced by", "at"]
        called.printer(as_json).listing(found, columns, rows, empty="No machine is announced.")

    @group.command()
    def unannounce(context: typer.Context, serial: Serial, as_json: JsonFlag = False) -> None:
        """Expect a machine no more. One that has joined stays."""
        called = invocation(context)

        async def work(api: MachinesApi) -> Any:
            await api.delete(f"/api/announcements/{quote(serial, safe='')}")
            return {"serial": serial}

        said(called.printer(as_json), asked(called, work), f"{serial} is not expected any more.")
