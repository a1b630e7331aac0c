"""`soundstage up`: the server, kept running by a small supervisor until Ctrl-C or SIGTERM."""

from __future__ import annotations

import typer

from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation, run
from app.composition import opened
from app.supervisor import ServerProcess, Supervisor, server_command
from soundstage.settings import Settings


def register(cli: typer.Typer) -> None:
    @cli.command()
    def up(context: typer.Context, as_json: JsonFlag = False) -> None:
        """Start the server: the page, the API and the agent."""
        called = invocation(context)
        printer = called.printer(as_json)
        settings = called.settings()
        url = base_url(settings)

        def say_ready() -> None:
            if printer.as_json:
                printer.value({"event": "ready", "url": url})
            else:
                printer.line(f"Soundstage is up at {url} (Ctrl-C ends it).")

        async def work() -> None:
            await _first_start(settings, printer)
            config_file = str(called.config_file) if called.config_file else None
            server = ServerProcess(server_command(config_file), f"{url}/api/health")
            await Supervisor(server, on_ready=say_ready).run()

        run(work())


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


def base_url(settings: Settings) -> str:
    """Where this machine reaches the server: an address that means "all" is reached on loopback."""
    host = settings.http.host
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http.port}"
