"""`soundstage explain RENDER`: why a render is where it is, in one sentence."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.state import JsonFlag, invocation, run
from app.composition import opened


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

        async def ask() -> str:
            async with opened(called.settings()) as services:
                return await services.studio.renders.explain(render)

        sentence = run(ask())
        printer.answer({"render_id": render, "explanation": sentence}, sentence)
