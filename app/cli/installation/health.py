"""`soundstage health`: one sentence on the whole installation, and what to do."""

from __future__ import annotations

import typer

from app.cli.connection import call_studio
from app.cli.installation.doctor import print_lines
from app.cli.state import JsonFlag, output


def register(cli: typer.Typer) -> None:
    @cli.command()
    def health(as_json: JsonFlag = False) -> None:
        """Say whether the whole installation is well; exit code 1 when something must be mended."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/health/installation"))
        if printer.as_json:
            printer.value(found)
        else:
            printer.line(found["sentence"])
            print_lines(printer, found["checks"])
        raise typer.Exit(1 if found["level"] == "red" else 0)
