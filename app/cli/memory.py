"""`soundstage memory`: what the agent was asked to remember, listed, exported and forgotten."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.memory import errors
from agent.memory.schemas import Export
from agent.memory.service import Owner
from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation
from app.cli.words import words_of
from app.composition import Services
from policy import Principal
from policy.principal import DEFAULT_TENANT

Whose = Annotated[
    str | None,
    typer.Option("--of", help="Whose: the id of a key, as `soundstage keys list` shows it. Default: yours."),
]

Tenant = Annotated[str, typer.Option("--tenant", help="With --of: the tenant that they belong to.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="What the agent was asked to remember.", no_args_is_help=True)
    cli.add_typer(group, name="memory")

    @group.command("list")
    def list_memories(
        context: typer.Context,
        about: Annotated[str, typer.Argument(help="What it shall have to do with.")] = "",
        of: Whose = None,
        tenant: Tenant = DEFAULT_TENANT,
        limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
        as_json: JsonFlag = False,
    ) -> None:
        """List what is remembered: the newest first, or the nearest to what is asked about."""
        called = invocation(context)
        printer = called.printer(as_json)
        wanted = words_of(about)
        found = with_services(
            called, lambda services: services.memory.recall(_owner(of, tenant), wanted, limit=limit)
        )
        if found.hint:
            printer.note(f"Only words were compared. {found.hint}")
        rows = ([one.id, one.text, one.persona or "–", one.created_at] for one in found.memories)
        printer.listing(found, ["id", "what", "persona", "since"], rows, empty="Nothing is remembered.")

    @group.command()
    def export(
        context: typer.Context, of: Whose = None, tenant: Tenant = DEFAULT_TENANT, as_json: JsonFlag = False
    ) -> None:
        """Print everything that is remembered for one owner: always as JSON."""
        called = invocation(context)
        found: Export = with_services(called, lambda services: services.memory.export(_owner(of, tenant)))
        called.printer(as_json).value(found)

    @group.command()
    def forget(
        context: typer.Context,
        ids: Annotated[list[str] | None, typer.Argument(help="Ids, as the list shows them.")] = None,
        everything: Annotated[bool, typer.Option("--everything", help="All of it.")] = False,
        of: Whose = None,
        tenant: Tenant = DEFAULT_TENANT,
        as_json: JsonFlag = False,
    ) -> None:
        """Forget some of it, or everything. There is no way back."""
        called = invocation(context)
        if not ids and not everything:
            raise errors.not_meant()

        async def work(services: Services) -> int:
            known = {one.id for one in await services.memory.some(_owner(of, tenant), ids or ())}
            for missing in set(ids or ()) - known:
                raise errors.no_memory(missing)
            return await services.memory.forget(_owner(of, tenant), None if everything else known)

        gone = with_services(called, work)
        called.printer(as_json).answer({"gone": gone}, f"Forgotten: {gone}.")


def _owner(of: str | None, tenant: str) -> Owner:
    return Owner.of(Principal.local_admin()) if of is None else Owner(tenant, of)
