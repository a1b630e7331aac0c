"""`soundstage memory`: what the agent was asked to remember, listed, exported and forgotten."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import words_of

Whose = Annotated[
    str | None,
    typer.Option("--of", help="Whose: the id of a key, as `soundstage keys list` shows it. Default: yours."),
]

Tenant = Annotated[str | None, typer.Option("--tenant", help="With --of: the tenant that they belong to.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "memory")

    @group.command("list")
    def list_memories(
        about: Annotated[str, typer.Argument(help="What it shall have to do with.")] = "",
        of: Whose = None,
        tenant: Tenant = None,
        limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
        as_json: JsonFlag = False,
    ) -> None:
        """List what is remembered: the newest first, or the nearest to what is asked about."""
        printer = output(as_json)
        query = words_of(about)
        found = call_studio(
            lambda api: api.get("/api/memory", about=query, limit=limit, of=of, tenant=tenant)
        )
        if found["hint"]:
            printer.note(f"Only words were compared. {found['hint']}")
        rows = (
            [one["id"], one["text"], one["persona"] or "–", minute(one["created_at"])]
            for one in found["memories"]
        )
        printer.listing(found, ["id", "what", "persona", "since"], rows, empty="Nothing is remembered.")

    @group.command()
    def export(of: Whose = None, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
        """Print everything that is remembered for one owner: always as JSON."""
        found = call_studio(lambda api: api.get("/api/memory/export", of=of, tenant=tenant))
        output(as_json).value(found)

    @group.command()
    def forget(
        ids: Annotated[list[str] | None, typer.Argument(help="Ids, as the list shows them.")] = None,
        everything: Annotated[bool, typer.Option("--everything", help="All of it.")] = False,
        of: Whose = None,
        tenant: Tenant = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Forget some of it, or everything. There is no way back."""
        query = list(dict.fromkeys(ids or ()))
        gone = call_studio(
            lambda api: api.delete(
                "/api/memory", everything=everything, id=query or None, of=of, tenant=tenant
            ),
        )["gone"]
        output(as_json).answer({"gone": gone}, f"Forgotten: {gone}.")
