"""`soundstage projects`: list, make and delete projects."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.state import JsonFlag, invocation, run
from app.composition import opened
from studio.projects.schemas import ProjectDraft


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Projects and their scenes.", no_args_is_help=True)
    cli.add_typer(group, name="projects")

    @group.command("list")
    def list_projects(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List the projects."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def work() -> None:
            async with opened(called.settings()) as services:
                found = await services.studio.projects.list()
            rows = (
                [item.slug, item.title, item.persona, f"{item.updated_at:%Y-%m-%d %H:%M}"] for item in found
            )
            printer.listing(
                found, ["slug", "title", "persona", "changed"], rows, empty="There are no projects yet."
            )

        run(work())

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

        async def work() -> None:
            async with opened(called.settings()) as services:
                made = await services.studio.projects.create(ProjectDraft(title=title, persona=persona))
            printer.answer(made, f"{made.slug} ({made.id})")

        run(work())

    @group.command()
    def delete(context: typer.Context, project: str, as_json: JsonFlag = False) -> None:
        """Delete a project with its scenes; its videos stay."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def work() -> None:
            async with opened(called.settings()) as services:
                await services.studio.projects.delete(project)
            printer.answer({"deleted": project}, f"{project} is deleted.")

        run(work())
