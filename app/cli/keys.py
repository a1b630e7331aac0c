"""`soundstage keys`: API keys, made and ended on this machine as its administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from app.cli.opening import in_transaction
from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation
from policy import Principal
from policy.keys.schemas import KeyMade, KeyRequest
from soundstage.database import utcnow


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)
    cli.add_typer(group, name="keys")

    @group.command("list")
    def list_keys(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List all keys, ended ones too; never the keys themselves."""
        called = invocation(context)
        printer = called.printer(as_json)
        by = Principal.local_admin()
        found = in_transaction(called, lambda services, session: services.policy.keys.list(session, by))
        rows = (
            [key.id, key.name, key.tenant, key.role, key.state, key.expires_at, key.last_used_at]
            for key in found
        )
        columns = ["id", "name", "tenant", "role", "state", "expires", "last used"]
        printer.listing(found, columns, rows, empty="There are no keys.")

    @group.command()
    def create(
        context: typer.Context,
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
        called = invocation(context)
        printer = called.printer(as_json)
        expires_at = utcnow() + timedelta(days=days) if days else None
        request = KeyRequest(name=name, role=role, tenant=tenant, scopes=scope or None, expires_at=expires_at)
        by = Principal.local_admin()
        made = in_transaction(
            called, lambda services, session: services.policy.keys.create(session, request, by)
        )
        _show(printer, made)

    @group.command()
    def rotate(context: typer.Context, key_id: str, as_json: JsonFlag = False) -> None:
        """Replace a key; the old one goes on working for the overlap of the settings."""
        called = invocation(context)
        printer = called.printer(as_json)
        by = Principal.local_admin()
        made = in_transaction(
            called, lambda services, session: services.policy.keys.rotate(session, key_id, by)
        )
        _show(printer, made)

    @group.command()
    def revoke(context: typer.Context, key_id: str, as_json: JsonFlag = False) -> None:
        """End a key at once."""
        called = invocation(context)
        printer = called.printer(as_json)
        by = Principal.local_admin()
        view = in_transaction(
            called, lambda services, session: services.policy.keys.revoke(session, key_id, by)
        )
        printer.answer(view, f"{view.name} ({view.id}) is revoked.")


def _show(printer: Printer, made: KeyMade) -> None:
    if printer.as_json:
        printer.value(made)
        return
    printer.line(made.key)
    printer.err.print(f"Key {made.id} for “{made.name}”. It is shown only now.", markup=False)
