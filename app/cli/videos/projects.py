"""`soundstage projects`: list, make, copy and delete projects."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import segment


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "projects")

    @group.command("list")
    def list_projects(as_json: JsonFlag = False) -> None:
        """List the projects."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/projects"))
        rows = ([item["slug"], item["title"], item["persona"], minute(item["updated_at"])] for item in found)
        printer.listing(
            found, ["slug", "title", "persona", "changed"], rows, empty="There are no projects yet."
        )

    @group.command()
    def create(
        title: str,
        persona: Annotated[str, typer.Option(help="Who speaks in its scenes.")] = "nova",
        as_json: JsonFlag = False,
    ) -> None:
        """Make an empty project."""
        printer = output(as_json)
        draft = {"title": title, "persona": persona}
        created = call_studio(lambda api: api.post("/api/projects", draft))
        printer.answer(created, f"{created['slug']} ({created['id']})")

    @group.command()
    def copy(
        project: str,
        title: Annotated[
            str | None, typer.Option(help="Title of the copy; “… (copy)” where it is left out.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Copy a project with its scenes and looks; its versions and videos stay with the first."""
        printer = output(as_json)
        path = f"/api/projects/{segment(project)}/copy"
        copied = call_studio(lambda api: api.post(path, {"title": title}))
        printer.answer(copied, f"{copied['slug']} ({copied['id']}), “{copied['title']}”")

    @group.command()
    def delete(project: str, as_json: JsonFlag = False) -> None:
        """Delete a project with its scenes; its videos stay."""
        printer = output(as_json)
        path = f"/api/projects/{segment(project)}"
        call_studio(lambda api: api.delete(path))
        printer.answer({"deleted": project}, f"{project} is deleted.")
