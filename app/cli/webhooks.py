"""`soundstage webhooks`: whom the studio tells what happens, and the log of what was told."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import with_services
from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation
from policy import Principal
from studio.webhooks.schemas import WebhookChange, WebhookDraft, WebhookMade

Webhook = Annotated[str, typer.Argument(help="Id of a webhook.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Tell other programs what happens, signed.", no_args_is_help=True)
    cli.add_typer(group, name="webhooks")

    @group.command("list")
    def list_webhooks(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List all, the newest first; never their secrets."""
        called = invocation(context)
        printer = called.printer(as_json)
        found = with_services(called, lambda services: services.studio.outgoing.webhooks.all())
        rows = (
            [one.id, one.url, ", ".join(one.kinds) or "everything", _state(one.active, one.ended_because)]
            for one in found
        )
        printer.listing(found, ["id", "url", "tells of", "state"], rows, empty="Nobody is told.")

    @group.command()
    def create(
        context: typer.Context,
        url: Annotated[str, typer.Argument(help="https, or http to this machine.")],
        kind: Annotated[list[str] | None, typer.Option(help="What to tell of; repeatable.")] = None,
        description: Annotated[str, typer.Option(help="What it is for.")] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Add one, and print the secret that signs its messages once."""
        called = invocation(context)
        draft = WebhookDraft.model_validate({"url": url, "kinds": kind or [], "description": description})

        by = Principal.local_admin().name
        made = with_services(
            called, lambda services: services.studio.outgoing.webhooks.create(draft, created_by=by)
        )
        _show_secret(called.printer(as_json), made)

    @group.command()
    def rotate(context: typer.Context, webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Give it a new secret; for a day the old one signs too."""
        called = invocation(context)
        made = with_services(called, lambda services: services.studio.outgoing.webhooks.rotate(webhook))
        _show_secret(called.printer(as_json), made)

    @group.command()
    def switch(
        context: typer.Context,
        webhook: Webhook,
        on: Annotated[bool, typer.Option("--on/--off", help="Whether it is told anything.")] = True,
        as_json: JsonFlag = False,
    ) -> None:
        """Switch one off, or on again."""
        called = invocation(context)
        printer = called.printer(as_json)

        change = WebhookChange(active=on)
        view = with_services(
            called, lambda services: services.studio.outgoing.webhooks.change(webhook, change)
        )
        printer.answer(view, f"{view.id}: {_state(view.active, view.ended_because)}")

    @group.command()
    def delete(context: typer.Context, webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Remove one, with its log."""
        called = invocation(context)
        printer = called.printer(as_json)
        with_services(called, lambda services: services.studio.outgoing.webhooks.delete(webhook))
        printer.answer({"id": webhook, "deleted": True}, f"{webhook} is deleted.")

    @group.command()
    def test(context: typer.Context, webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Send a message of the kind `webhook.test`; `soundstage up` carries it."""
        called = invocation(context)
        printer = called.printer(as_json)
        view = with_services(called, lambda services: services.studio.outgoing.webhooks.test(webhook))
        printer.answer(view, f"{view.id}: {view.state}")

    @group.command()
    def deliveries(context: typer.Context, webhook: Webhook, as_json: JsonFlag = False) -> None:
        """Show what one was told and how it answered, the newest first."""
        called = invocation(context)
        printer = called.printer(as_json)
        found = with_services(
            called, lambda services: services.studio.outgoing.webhooks.deliveries(webhook, None, 50)
        )
        rows = ([one.id, one.kind, one.state, one.tries, one.created_at] for one in found)
        printer.listing(
            found, ["id", "kind", "state", "tries", "created"], rows, empty="It was told nothing yet."
        )


def _state(active: bool, ended_because: str) -> str:
    return "on" if active else f"off: {ended_because}" if ended_because else "off"


def _show_secret(printer: Printer, made: WebhookMade) -> None:
    if printer.as_json:
        printer.value(made)
        return
    printer.line(f"{made.id}: {made.url}")
    printer.line(f"Secret, shown this once: {made.secret}")
