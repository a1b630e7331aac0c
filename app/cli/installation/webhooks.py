"""`soundstage webhooks`: receivers of events of the studio, and the log of deliveries."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.printing import Printer
from app.cli.state import JsonFlag, output
from app.cli.times import minute, second
from app.cli.words import segment
from studio.webhooks.kinds import WebhookKind

Webhook = Annotated[str, typer.Argument(help="Id of a webhook.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "webhooks")

    @group.command("list")
    def list_webhooks(as_json: JsonFlag = False) -> None:
        """List all, the newest first; never their secrets."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/webhooks"))
        rows = (
            [one["id"], one["url"], ", ".join(one["kinds"]) or "everything", _state(one)] for one in found
        )
        printer.listing(found, ["id", "url", "tells of", "state"], rows, empty="There are no webhooks.")

    @group.command()
    def create(
        url: Annotated[str, typer.Argument(help="https, or http to this machine.")],
        kind: Annotated[
            list[WebhookKind] | None, typer.Option(help="What to tell of; repeatable; without it everything.")
        ] = None,
        description: Annotated[str, typer.Option(help="What it is for.")] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Add one, and print the secret that signs its messages once."""
        draft = {"url": url, "kinds": kind or [], "description": description}
        created = call_studio(lambda api: api.post("/api/webhooks", draft))
        _show_secret(output(as_json), created)

    @group.command()
    def rotate(webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Give it a new secret; for a day the old one signs too."""
        created = call_studio(lambda api: api.post(f"{_path(webhook)}/rotate"))
        _show_secret(output(as_json), created)

    @group.command()
    def switch(
        webhook: Webhook,
        on: Annotated[bool, typer.Option("--on/--off", help="Whether it is told anything.")] = True,
        as_json: JsonFlag = False,
    ) -> None:
        """Switch one off, or on again."""
        printer = output(as_json)
        view = call_studio(lambda api: api.patch(_path(webhook), {"active": on}))
        printer.answer(view, f"{view['id']}: {_state(view)}")

    @group.command()
    def delete(webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Remove one, with its log."""
        printer = output(as_json)
        call_studio(lambda api: api.delete(_path(webhook)))
        printer.answer({"id": webhook, "deleted": True}, f"{webhook} is deleted.")

    @group.command()
    def test(webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Send a message of the kind `webhook.test`; `soundstage up` carries it."""
        printer = output(as_json)
        view = call_studio(lambda api: api.post(f"{_path(webhook)}/test"))
        printer.answer(view, f"{view['id']}: {view['state']}")

    @group.command()
    def deliveries(webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Show what one was told, and status and time of every try, the newest first."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get(f"{_path(webhook)}/deliveries", limit=50))
        rows = (
            [
                one["id"],
                one["kind"],
                one["state"],
                minute(one["created_at"]),
                "; ".join(map(_try, one["log"])),
            ]
            for one in found
        )
        printer.listing(
            found, ["id", "kind", "state", "created", "tries"], rows, empty="It was told nothing yet."
        )


def _path(webhook: str) -> str:
    return f"/api/webhooks/{segment(webhook)}"


def _try(entry: dict[str, Any]) -> str:
    """`2026-11-21 09:00:05 204`, or why there was no answer."""
    return f"{second(entry['at'])} {entry['status'] or entry['error']}"


def _state(webhook: dict[str, Any]) -> str:
    if webhook["active"]:
        return "on"
    return f"off: {webhook['ended_because']}" if webhook["ended_because"] else "off"


def _show_secret(printer: Printer, created: dict[str, Any]) -> None:
    if printer.as_json:
        printer.value(created)
        return
    printer.line(f"{created['id']}: {created['url']}")
    printer.line(f"Secret, shown this once: {created['secret']}")
