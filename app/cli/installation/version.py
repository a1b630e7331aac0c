"""`soundstage version`."""

from __future__ import annotations

import platform
from importlib.metadata import version

import typer

from app.cli.state import JsonFlag, output


def register(cli: typer.Typer) -> None:
    @cli.command("version")
    def show(as_json: JsonFlag = False) -> None:
        """Print the version."""
        printer = output(as_json)
        found = {"soundstage": version("soundstage"), "python": platform.python_version()}
        printer.answer(found, f"soundstage {found['soundstage']} (Python {found['python']})")
