"""`soundstage keys`: API keys of the studio, made and ended by its administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import segment


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "keys")

    @group.command("list")
    def list_keys(as_json: JsonFlag = False) -> None:
        """List all keys, ended ones too; never the keys themselves."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/keys"))
        fields = ("id", "name", "tenant", "role", "state")
        times = ("expires_at", "last_used_at")
        rows = ([*(key[one] for one in fields), *(minute(key[one]) for one in times)] for key in found)
        columns = ["id", "name", "tenant", "role", "state", "expires", "last used"]
        printer.listing(found, columns, rows, empty="There are no keys.")

    @group.command()
    def create(
        name: Annotated[str, typer.Argument(help="What the key is for.")],
        role: Annotated[str, typer.Option(help="viewer, editor, operator, a2a-admin or admin.")] = "viewer",
        scope: Annotated[
            list[str] | None, typer.Option(help="Narrow the role, e.g. render:*; repeatable.")
        ] = None,
        tenant: Annotated[
            str | None, typer.Option(help="Whose things it works on; default: those of the operator.")
        ] = None,
        days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default never.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a key and print it once."""
        request = {"name": name, "role": role, "tenant": tenant, "scopes": scope or None}
        if days:
            request["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        created = call_studio(lambda api: api.post("/api/keys", request))
        _show(as_json, created)

    @group.command()
    def rotate(key_id: str, as_json: JsonFlag = False) -> None:
        """Replace a key; the old one goes on working for the overlap of the settings."""
        created = call_studio(lambda api: api.post(f"/api/keys/{segment(key_id)}/rotate"))
        _show(as_json, created)

    @group.command()
    def revoke(key_id: str, as_json: JsonFlag = False) -> None:
        """End a key at once."""
        printer = output(as_json)
        view = call_studio(lambda api: api.delete(f"/api/keys/{segment(key_id)}"))
        printer.answer(view, f"{view['name']} ({view['id']}) is revoked.")


def _show(as_json: bool, created: dict[str, Any]) -> None:
    output(as_json).secret(created, created["key"], f"Key {created['id']} for “{created['name']}”.")
