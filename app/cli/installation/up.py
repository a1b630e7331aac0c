"""`soundstage up`: the server processes, kept running until Ctrl-C or SIGTERM."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.state import JsonFlag, Stopped, invocation, output


def register(cli: typer.Typer) -> None:
    @cli.command()
    def up(
        tls: Annotated[
            bool,
            typer.Option("--tls", help="Let others in by https, with a certificate of your own authority."),
        ] = False,
        no_browser: Annotated[
            bool, typer.Option("--no-browser", help="Open no browser; only print the link.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Start the servers: the page, the API and the agent; beside them the provisioning of machines."""
        from app.cli.installation.serving import serve

        called = invocation()
        printer = output(as_json)
        try:
            serve(called, printer, tls=tls, browser=not no_browser)
        except Stopped as stopped:
            # Being asked to stop is how a server ends well.
            printer.line("Soundstage has stopped.")
            raise typer.Exit(0) from stopped
