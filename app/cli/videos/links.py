"""`soundstage links list | create | revoke`: links that show a video to whoever has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import segment

Video = Annotated[str, typer.Argument(help="Id of a finished video, or its last characters.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "links")

    @group.command("list")
    def list_links(video: Video, as_json: JsonFlag = False) -> None:
        """List the links of a video, ended ones too; never their addresses."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get(_path(video)))
        rows = (
            [one["id"], one["name"], one["state"], minute(one["expires_at"]), one["uses"]] for one in found
        )
        columns = ["id", "name", "state", "ends", "opened"]
        printer.listing(found, columns, rows, empty="This video has no links.")

    @group.command()
    def create(
        video: Video,
        days: Annotated[int, typer.Option(min=1, max=366, help="Days until it ends.")] = 7,
        name: Annotated[str, typer.Option(help="Who or what it is for; viewers do not see it.")] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Make a link and print its address once; whoever has it sees the video without a login."""
        ends = datetime.now(UTC) + timedelta(days=days)
        draft = {"name": name, "expires_at": ends.isoformat()}
        created = call_studio(lambda api: api.post(_path(video), draft))
        ends_at = minute(created["expires_at"])
        output(as_json).secret(created, created["url"], f"Link {created['id']}, until {ends_at} UTC.")

    @group.command()
    def revoke(
        video: Video,
        link: Annotated[str, typer.Argument(help="Id of a link.")],
        as_json: JsonFlag = False,
    ) -> None:
        """End a link at once."""
        printer = output(as_json)
        view = call_studio(lambda api: api.delete(f"{_path(video)}/{segment(link)}"))
        printer.answer(view, f"{view['id']} is {view['state']}.")


def _path(video: str) -> str:
    return f"/api/renders/{segment(video)}/links"
