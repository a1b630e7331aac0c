"""`soundstage keys`: API keys, made and ended on this machine as its administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation, run
from app.composition import opened
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

        async def work() -> None:
            async with opened(called.settings()) as services, services.database.session() as session:
                found = await services.policy.keys.list(session)
            rows = (
                [key.id, key.name, key.role, key.state, key.expires_at, key.last_used_at] for key in found
            )
            printer.listing(
                found,
                ["id", "name", "role", "state", "expires", "last used"],
                rows,
                empty="There are no keys.",
            )

        run(work())

    @group.command()
    def create(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="What the key is for.")],
        role: Annotated[str, typer.Option(help="viewer, editor, operator, a2a-admin or admin.")] = "viewer",
        scope: Annotated[
            list[str] | None, typer.Option(help="Narrow the role, e.g. render:*; repeatable.")
        ] = None,
        days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default never.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a key and print it once."""
        called = invocation(context)
        printer = called.printer(as_json)
        expires_at = utcnow() + timedelta(days=days) if days else None

        async def work() -> None:
            request = KeyRequest(name=name, role=role, scopes=scope or None, expires_at=expires_at)
            async with opened(called.settings()) as services, services.database.transaction() as session:
                made = await services.policy.keys.create(session, request, Principal.local_admin())
            _show(printer, made)

        run(work())

    @group.command()
    def rotate(context: typer.Context, key_id: str, as_json: JsonFlag = False) -> None:
        """Replace a key; the old one goes on working for the overlap of the settings."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def work() -> None:
            async with opened(called.settings()) as services, services.database.transaction() as session:
                made = await services.policy.keys.rotate(session, key_id, Principal.local_admin())
            _show(printer, made)

        run(work())

    @group.command()
    def revoke(context: typer.Context, key_id: str, as_json: JsonFlag = False) -> None:
        """End a key at once."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def work() -> None:
            async with opened(called.settings()) as services, services.database.transaction() as session:
                view = await services.policy.keys.revoke(session, key_id, Principal.local_admin())
            printer.answer(view, f"{view.name} ({view.id}) is revoked.")

        run(work())


def _show(printer: Printer, made: KeyMade) -> None:
    if printer.as_json:
        printer.value(made)
        return
    printer.line(made.key)
    printer.err.print(f"Key {made.id} for “{made.name}”. It is shown only now.", markup=False)
