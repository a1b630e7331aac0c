"""`soundstage login` and `soundstage logout`: the keys of servers that commands speak to."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.saved_logins import (
    Login,
    forget_login,
    load_logins,
    logins_file,
    normalize_url,
    save_login,
)
from app.cli.state import JsonFlag, output, run
from soundstage.errors import Invalid, NotFound

MAX_KEY_CHARS = 200


def register(cli: typer.Typer) -> None:
    @cli.command()
    def login(
        url: Annotated[str, typer.Argument(help="The server, e.g. https://studio.example.org.")],
        key_file: Annotated[
            Path | None, typer.Option(help="A file with the key; else it is asked for, or read from a pipe.")
        ] = None,
        authority: Annotated[
            Path | None,
            typer.Option(help="Certificate of the authority behind the server, where it is one of your own."),
        ] = None,
        allow_plain_http: Annotated[
            bool,
            typer.Option("--allow-plain-http", help="Send the key though others on the way can read it."),
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Save the key of a server: for commands with --server, and where no studio is here."""
        from app.cli.connection import connect, require_private_transport

        address = normalize_url(url)
        require_private_transport(address, allowed=allow_plain_http)
        found = Login(
            address,
            _key(key_file),
            authority=None if authority is None else str(authority.absolute()),
            plain_http=allow_plain_http,
        )

        async def look() -> dict[str, Any]:
            async with connect(found) as api:
                return dict(await api.get("/api/me"))

        me = run(look())
        save_login(found)
        shown = {"url": address, **{name: me[name] for name in ("name", "role", "tenant")}}
        sentence = f"Logged in at {address} as {me['name']} ({me['role']}). The key is in {logins_file()}."
        output(as_json).answer(shown, sentence)

    @cli.command()
    def logout(
        url: Annotated[
            str | None, typer.Argument(help="The server; default: that of the last login.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Forget the saved key of a server; the key itself goes on, `soundstage keys revoke` ends it."""
        last = next(iter(load_logins()), None)
        address = normalize_url(url) if url is not None else last.url if last is not None else ""
        if not forget_login(address):
            raise NotFound(
                "login.not_found",
                f"There is no saved key for {address}." if address else "There is no saved key.",
                "`soundstage login URL` saves one.",
            )
        output(as_json).answer({"url": address}, f"The key for {address} is forgotten.")


def _key(file: Path | None) -> str:
    """The key from the file, the terminal or a pipe; never from an argument, which others could list."""
    try:
        if file is not None:
            key = file.read_text(encoding="ascii").strip()
        elif sys.stdin.isatty():
            key = getpass.getpass("Key: ").strip()
        else:
            key = sys.stdin.readline(MAX_KEY_CHARS + 2).strip()
    except (OSError, UnicodeError) as error:
        raise Invalid("login.no_key", f"The key cannot be read: {error}.", "Check --key-file.") from error
    if not key or len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise Invalid(
            "login.no_key",
            "What was given is no key.",
            "`soundstage keys create NAME` at the server makes one.",
        )
    return key
