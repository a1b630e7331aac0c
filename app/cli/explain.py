"""`soundstage explain RENDER`: why a render is where it is, in one sentence."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation


def register(cli: typer.Typer) -> None:
    @cli.command()
    def explain(
        context: typer.Context,
        render: Annotated[str, typer.Argument(help="A render: its id, or the last characters of it.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Say in one sentence why a render waits, or what became of it."""
        called = invocation(context)
        printer = called.printer(as_json)
        sentence = with_services(called, lambda services: services.studio.renders.explain(render))
        printer.answer({"render_id": render, "explanation": sentence}, sentence)
