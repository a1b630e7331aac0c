"""`soundstage up`: the server, kept running by a small supervisor until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
from contextlib import closing

import typer

from app.cli.printing import Printer
from app.cli.state import JsonFlag, Stopped, invocation, run
from app.composition import opened
from app.listening import listening_socket, url_of
from app.supervisor import Supervisor
from soundstage.settings import Settings


def register(cli: typer.Typer) -> None:
    @cli.command()
    def up(context: typer.Context, as_json: JsonFlag = False) -> None:
        """Start the server: the page, the API and the agent."""
        called = invocation(context)
        printer = called.printer(as_json)
        settings = called.settings()
        logging.getLogger("httpx").setLevel(logging.WARNING)

        async def work() -> None:
            with closing(listening_socket(settings)) as listening:
                url = url_of(listening)
                await _first_start(settings, printer)

                def say_ready() -> None:
                    if printer.as_json:
                        printer.value({"event": "ready", "url": url})
                    else:
                        printer.line(f"Soundstage is up at {url} (Ctrl-C ends it).")

                listening.set_inheritable(True)
                supervisor = Supervisor(called.config_file, listening.fileno(), url, on_ready=say_ready)
                await supervisor.run()

        try:
            run(work())
        except Stopped as stopped:
            # Being asked to stop is how a server ends well.
            printer.line("Soundstage has stopped.")
            raise typer.Exit(0) from stopped


async def _first_start(settings: Settings, printer: Printer) -> None:
    """Migrates, and makes the admin key when there has never been one. It is shown here only."""
    async with opened(settings) as services:
        made = await services.policy.first_admin_key()
    if made is None:
        return
    if printer.as_json:
        printer.value({"event": "admin_key", "id": made.id, "key": made.key})
    else:
        printer.line(f"The administrator's key, shown only now:\n\n    {made.key}\n")
