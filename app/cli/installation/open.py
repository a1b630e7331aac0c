"""`soundstage open`: logs a browser in to the server that runs on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.state import JsonFlag, invocation, output


def register(cli: typer.Typer) -> None:
    @cli.command("open")
    def open_page(
        no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Open the page of the running server, with a link that logs in once."""
        from app.local_access import read_local_access
        from app.server.start_link import make_start_link, open_in_browser
        from soundstage.errors import NotFound

        called = invocation()
        printer = output(as_json)
        settings = called.settings()
        access = read_local_access(settings.state_dir)
        if access is None:
            raise NotFound(
                "server.not_running",
                f"No server runs on the state folder {settings.state_dir.absolute()}.",
                "Start it with `soundstage up`; for a server elsewhere log in on its page with an API key.",
            )
        public_url = settings.http.public_url
        link = make_start_link(access, str(public_url) if public_url else None)
        opened = not no_browser and not printer.as_json and open_in_browser(settings.state_dir, link)
        words = "A browser opens" if opened else "Open in a browser"
        printer.answer(
            {"url": link.url, "expires_at": link.expires_at.isoformat()},
            f"{words} (logs in once, until {link.expires_at:%H:%M} UTC):\n\n    {link.url}\n",
        )
