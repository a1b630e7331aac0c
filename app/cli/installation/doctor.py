"""`soundstage doctor`: green, amber, red, and what to do."""

from __future__ import annotations

from contextlib import suppress

import typer

from app.cli.connection import running_server, server_elsewhere
from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import SoundstageError

MARKS = {"green": "[green]●[/]", "amber": "[yellow]●[/]", "red": "[red]●[/]"}


def register(cli: typer.Typer) -> None:
    @cli.command()
    def doctor(as_json: JsonFlag = False) -> None:
        """Look at everything a video needs on this machine; exit code 1 when something must be mended."""
        from rich.markup import escape

        from app.doctor.examine import examine
        from soundstage.health import Level

        called = invocation()
        printer = output(as_json)
        # Settings that cannot be read are a finding below.
        with suppress(SoundstageError):
            if (url := server_elsewhere(called)) is not None:
                printer.note(f"This is about this machine, not about {url}: run it there for that one.")
        checks = run(examine(called.config_file, running_server))
        worst_is_red = any(check.level is Level.RED for check in checks)
        if printer.as_json:
            printer.value({"ok": not worst_is_red, "checks": checks})
        else:
            width = max(len(check.name) for check in checks)
            for check in checks:
                printer.out.print(f"{MARKS[check.level]} {check.name:<{width}}  {escape(check.found)}")
                if check.fix:
                    printer.out.print(f"  {'':<{width}}  [bold]{escape(check.fix)}[/]")
        raise typer.Exit(1 if worst_is_red else 0)
