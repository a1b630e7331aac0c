"""`soundstage doctor`: green, amber, red, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from app.cli.connection import running_server, server_elsewhere
from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import SoundstageError

if TYPE_CHECKING:
    from app.cli.printing import Printer
    from soundstage.health import Check

MARKS = {"green": "[green]●[/]", "amber": "[yellow]●[/]", "red": "[red]●[/]"}


def register(cli: typer.Typer) -> None:
    @cli.command()
    def doctor(
        folder: Annotated[
            Path, typer.Argument(help="With --farm: what `soundstage init` wrote, or an inventory.")
        ] = Path("my-farm"),
        farm: Annotated[
            bool,
            typer.Option("--farm", help="Look at the machines of an inventory: what the playbook needs."),
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Look at everything a video needs on this machine; exit code 1 when something must be mended."""
        from app.doctor.examine import examine

        called = invocation()
        printer = output(as_json)
        if farm:
            from app.doctor.farm import examine_farm

            _print_checks(printer, run(examine_farm(folder.absolute())))
        # Settings that cannot be read are a finding below.
        with suppress(SoundstageError):
            if (url := server_elsewhere(called)) is not None:
                printer.note(f"This is about this machine, not about {url}: run it there for that one.")
        checks = run(examine(called.config_file, running_server))
        _print_checks(printer, checks)


def _print_checks(printer: Printer, checks: Sequence[Check]) -> NoReturn:
    """Prints the findings and ends the command: with 1 when one is red."""
    from soundstage.health import Level

    worst_is_red = any(check.level is Level.RED for check in checks)
    if printer.as_json:
        printer.value({"ok": not worst_is_red, "checks": checks})
    else:
        print_lines(printer, [check.model_dump(mode="json") for check in checks])
    raise typer.Exit(1 if worst_is_red else 0)


def print_lines(printer: Printer, checks: Sequence[dict[str, Any]]) -> None:
    """Prints a line for each check, and below it what to do; also for `soundstage health`."""
    from rich.markup import escape

    width = max(len(check["name"]) for check in checks)
    for check in checks:
        printer.out.print(f"{MARKS[check['level']]} {check['name']:<{width}}  {escape(check['found'])}")
        code = f"  [dim]({escape(check['code'])})[/]" if check["code"] else ""
        if check["fix"]:
            printer.out.print(f"  {'':<{width}}  [bold]{escape(check['fix'])}[/]{code}")
