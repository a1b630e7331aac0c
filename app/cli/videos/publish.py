"""`soundstage publish`: sends finished renders to YouTube, and shows what became of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio, server_of
from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation, output
from app.cli.times import parse_time
from app.cli.words import segment
from soundstage.errors import Conflict

Publication = Annotated[str, typer.Argument(help="Id of a publication.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "publish")

    @group.command()
    def render(
        render: Annotated[str, typer.Argument(help="A render: its id, or the last characters of it.")],
        title: Annotated[str | None, typer.Option(help="Default: that of the render.")] = None,
        description: Annotated[str, typer.Option(help="What stands under the video.")] = "",
        tag: Annotated[list[str] | None, typer.Option(help="A tag; repeatable.")] = None,
        privacy: Annotated[str, typer.Option(help="private, unlisted or public.")] = "private",
        publish_at: Annotated[str | None, typer.Option(help="When YouTube makes it public: 17:00.")] = None,
        account: Annotated[str | None, typer.Option(help="Which channel, if there are several.")] = None,
        again: Annotated[bool, typer.Option("--again", help="Though the channel has it already.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Queue a finished render for YouTube; nobody sees it until you say so."""
        printer = output(as_json)
        request = {
            "account": account,
            "title": title,
            "description": description,
            "tags": tag or [],
            "privacy": privacy,
            "publish_at": parse_time(publish_at).isoformat() if publish_at else None,
            "again": again,
        }
        path = f"/api/renders/{segment(render)}/publish"
        if dry_run:
            plan = call_studio(lambda api: api.post(f"{path}/plan", request))
            size = f"{plan['bytes'] / 1e6:.1f} MB"
            quota = f"{plan['quota_units']} units of {plan['quota_left']} left today"
            printer.answer(plan, f"{size} to {plan['channel']}, {quota}; nothing was sent.")
            return
        _show(printer, call_studio(lambda api: api.post(path, request)))

    @group.command("list")
    def list_publications(
        render: Annotated[str | None, typer.Option(help="Of this render only.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """List publications, the newest first."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/publications", render=render, limit=50))
        rows = ([one["id"], one["state"], one["render_id"], one["url"] or one["waits"]] for one in found)
        printer.listing(found, ["id", "state", "render", "where"], rows, empty="Nothing was published.")

    @group.command()
    def cancel(publication: Publication, as_json: JsonFlag = False) -> None:
        """Stop one before YouTube has its last byte."""
        done = call_studio(lambda api: api.post(f"{_path(publication)}/cancel"))
        _show(output(as_json), done)

    @group.command()
    def retry(publication: Publication, as_json: JsonFlag = False) -> None:
        """Try a failed one again; what YouTube has already is not sent twice."""
        done = call_studio(lambda api: api.post(f"{_path(publication)}/retry"))
        _show(output(as_json), done)

    @group.command()
    def accounts(as_json: JsonFlag = False) -> None:
        """List the channels that are connected; `soundstage publish connect` adds one."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/youtube/accounts"))
        rows = ([one["id"], one["title"], "yes" if one["usable"] else "connect it again"] for one in found)
        printer.listing(found, ["id", "channel", "usable"], rows, empty="No channel is connected.")

    @group.command()
    def connect(as_json: JsonFlag = False) -> None:
        """Print the page of Google's on which the owner of a channel agrees: for a browser of the server's
        machine, once and for ten minutes.
        """
        called = invocation()
        if server_of(called) is None:
            raise Conflict(
                "publishing.no_server",
                "Google sends the browser back to the server, and none runs here.",
                "Start it with `soundstage up`, then run this again.",
            )
        page = call_studio(lambda api: api.post("/youtube/connect"))
        output(as_json).answer(page, page["url"])

    @group.command()
    def disconnect(
        account: Annotated[str, typer.Argument(help="Id of a connected channel.")], as_json: JsonFlag = False
    ) -> None:
        """Give the tokens of a channel back to Google; what is published stays."""
        call_studio(lambda api: api.delete(f"/youtube/accounts/{segment(account)}"))
        output(as_json).answer({"id": account, "connected": False}, f"{account} is disconnected.")


def _path(publication: str) -> str:
    return f"/api/publications/{segment(publication)}"


def _show(printer: Printer, view: dict[str, Any]) -> None:
    waits = f", {view['waits']}" if view["waits"] else ""
    printer.answer(view, f"{view['id']}: {view['state']}{waits}")
