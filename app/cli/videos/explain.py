"""`soundstage explain RENDER`: why a render is where it is, in one sentence."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.words import segment


def register(cli: typer.Typer) -> None:
    @cli.command()
    def explain(
        render: Annotated[str, typer.Argument(help="A render: its id, or the last characters of it.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Say in one sentence why a render waits, or what became of it."""
        printer = output(as_json)
        path = f"/api/renders/{segment(render)}/explain"
        sentence = call_studio(lambda api: api.get(path))["explanation"]
        printer.answer({"render_id": render, "explanation": sentence}, sentence)
