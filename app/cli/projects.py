"""`soundstage projects`: list, make and delete projects."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation
from studio.projects.schemas import ProjectDraft


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Projects and their scenes.", no_args_is_help=True)
    cli.add_typer(group, name="projects")

    @group.command("list")
    def list_projects(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List the projects."""
        called = invocation(context)
        printer = called.printer(as_json)
        found = with_services(called, lambda services: services.studio.projects.list())
        rows = ([item.slug, item.title, item.persona, f"{item.updated_at:%Y-%m-%d %H:%M}"] for item in found)
        printer.listing(
            found, ["slug", "title", "persona", "changed"], rows, empty="There are no projects yet."
        )

    @group.command()
    def create(
        context: typer.Context,
        title: str,
        persona: Annotated[str, typer.Option(help="Who speaks in its scenes.")] = "nova",
        as_json: JsonFlag = False,
    ) -> None:
        """Make an empty project."""
        called = invocation(context)
        printer = called.printer(as_json)
        made = with_services(
            called,
            lambda services: services.studio.projects.create(ProjectDraft(title=title, persona=persona)),
        )
        printer.answer(made, f"{made.slug} ({made.id})")

    @group.command()
    def delete(context: typer.Context, project: str, as_json: JsonFlag = False) -> None:
        """Delete a project with its scenes; its videos stay."""
        called = invocation(context)
        printer = called.printer(as_json)
        with_services(called, lambda services: services.studio.projects.delete(project))
        printer.answer({"deleted": project}, f"{project} is deleted.")
