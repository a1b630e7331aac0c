"""Start links: made by a running server for the local key, shown or opened by `up` and `open`."""

from __future__ import annotations

import os
import sys
import webbrowser
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

import httpx

from app.local_access import LocalAccess, write_private_file
from soundstage.errors import SoundstageError, Unavailable, Upstream
from soundstage.http import open_blocking_client

TIMEOUT_S = 20.0
OPENER = "open.html"


@dataclass(frozen=True, slots=True)
class StartLink:
    """Logs a browser in once, until `expires_at`."""

    url: str
    expires_at: datetime


def make_start_link(access: LocalAccess, public_url: str | None) -> StartLink:
    """Return a link to `public_url`, or to where the server listens. Raises Unavailable and Upstream."""
    headers = {"Authorization": f"Bearer {access.key}"}
    try:
        with open_blocking_client(access.url, headers=headers, timeout=TIMEOUT_S) as client:
            answer = client.post("/api/login/links")
    except httpx.TransportError as error:
        raise Unavailable(
            "server.no_answer",
            f"The server at {access.url} does not answer ({type(error).__name__}).",
            "Start it with `soundstage up`.",
        ) from error
    if not answer.is_success:
        raise Upstream(
            "server.no_start_link",
            f"The server at {access.url} makes no start link: it answered {answer.status_code}.",
            "Start it again: `soundstage up` renews the key of this machine.",
        )
    found = answer.json()
    base = (public_url or access.url).rstrip("/")
    # Behind `#`: browsers send that to no server, so it stands in no log.
    return StartLink(f"{base}/#/start/{found['token']}", datetime.fromisoformat(found["expires_at"]))


def open_in_browser(state_dir: Path, link: StartLink) -> bool:
    """Opens the link when there is a terminal and a display; returns whether a browser was started.

    The browser gets the name of a file of mode 0600: every user of this machine can read its command line.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty() and _has_display()):
        return False
    target = escape(link.url, quote=True)
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}"><a href="{target}">Open</a>'
    try:
        return webbrowser.open(write_private_file(state_dir, OPENER, page).as_uri())
    except (webbrowser.Error, OSError, SoundstageError):
        return False


def _has_display() -> bool:
    # Without one, `webbrowser` would find a browser for the terminal, which cannot show the page.
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
