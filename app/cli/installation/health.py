"""`soundstage health`: one sentence on the whole installation, and what to do."""

from __future__ import annotations

import typer

from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output

MARKS = {"green": "[green]●[/]", "amber": "[yellow]●[/]", "red": "[red]●[/]"}


def register(cli: typer.Typer) -> None:
    @cli.command()
    def health(as_json: JsonFlag = False) -> None:
        """Say whether the whole installation is well; exit code 1 when something must be mended."""
        from rich.markup import escape

        printer = output(as_json)
        found = call_studio(lambda api: api.get("/api/health/installation"))
        if printer.as_json:
            printer.value(found)
        else:
            printer.line(found["sentence"])
            width = max(len(check["name"]) for check in found["checks"])
            for check in found["checks"]:
                mark, name = MARKS[check["level"]], f"{check['name']:<{width}}"
                printer.out.print(f"{mark} {name}  {escape(check['found'])}")
                if check["fix"]:
                    printer.out.print(f"  {'':<{width}}  [bold]{escape(check['fix'])}[/]")
        raise typer.Exit(1 if found["level"] == "red" else 0)
