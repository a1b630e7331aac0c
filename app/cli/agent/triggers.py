"""`soundstage triggers`: what is planned for a time or an event, at this prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import segment


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "triggers")

    @group.command("list")
    def list_triggers(
        ended: Annotated[bool, typer.Option("--ended", help="Those that do not wait any more.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List what is planned, the next one first."""
        found = call_studio(lambda api: api.get("/api/triggers", ended=ended))
        rows = (
            [one["id"], one["text"], one["state"], minute(one["fires_at"]), one["result"]] for one in found
        )
        columns = ["trigger", "what", "state", "fires", "result"]
        empty = "Nothing has fired yet." if ended else "Nothing is planned. Say it: soundstage chat"
        output(as_json).listing(found, columns, rows, empty=empty)

    @group.command()
    def cancel(
        trigger: Annotated[str, typer.Argument(help="Its id: soundstage triggers list")],
        as_json: JsonFlag = False,
    ) -> None:
        """Cancel one that waits."""
        gone = call_studio(lambda api: api.post(f"/api/triggers/{segment(trigger)}/cancel"))
        output(as_json).answer(gone, f"Cancelled: {gone['text']}.")
