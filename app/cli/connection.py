"""Chooses the studio that a command speaks to: a named server, the one that runs on this state folder, or a
studio in this process where none runs. Every command goes through `studio`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from app.cli.saved_logins import Login, load_logins, login_for, normalize_url
from app.cli.state import Invocation, invocation, run
from soundstage.errors import Conflict, Forbidden, Unauthorized

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi
    from soundstage.settings import Settings

T = TypeVar("T")

SERVER_VARIABLE = "SOUNDSTAGE_SERVER"


def call_studio(call: Callable[[StudioApi], Awaitable[T]]) -> T:
    """Run one conversation with the studio and return what `call` returns."""
    called = invocation()

    async def work() -> T:
        async with studio(called) as api:
            return await call(api)

    return run(work())


def server_of(called: Invocation) -> Login | None:
    """Return the server that this command speaks to, with a key for it; None for a studio in this process.

    1. `--server` or SOUNDSTAGE_SERVER, with the key that `soundstage login` saved;
    2. the server that runs on this state folder, with the key that it leaves there for its user;
    3. no server, and a state folder of our own: None;
    4. no state folder here yet, but a login: the server of the last login.

    Raises Unauthorized without a login for the server, Forbidden for a state folder of another user.
    """
    if (named := called.server or os.environ.get(SERVER_VARIABLE, "").strip()) != "":
        return _known(normalize_url(named))
    from app.local_access import read_local_access

    settings = called.settings()
    if (running := read_local_access(settings.state_dir)) is not None:
        return Login(running.url, running.key, is_local=True)
    if not _exists(settings.state_dir) and (logins := load_logins()):
        return logins[0]
    require_own(settings.state_dir)
    return None


def server_elsewhere(called: Invocation) -> str | None:
    """Return the address of the server that `--server` or a login names, where commands use it; None for
    the studio of this state folder. For commands that look at this machine and have to say so.
    """
    if (named := called.server or os.environ.get(SERVER_VARIABLE, "").strip()) != "":
        return normalize_url(named)
    if not _exists(called.settings().state_dir) and (logins := load_logins()):
        return logins[0].url
    return None


def has_studio(called: Invocation) -> bool:
    """Return whether there is a studio to ask: a server, or a state folder that is there already."""
    return server_of(called) is not None or _exists(called.settings().state_dir)


@asynccontextmanager
async def studio(called: Invocation) -> AsyncIterator[StudioApi]:
    """A connection to the studio of this command, for as long as the block runs."""
    login = server_of(called)
    if login is not None:
        async with connect(login) as api:
            yield api
        return
    from app.cli.embedded import open_embedded_studio
    from soundstage.telemetry import configure_logging

    if not called.debug:
        # The log of a studio that ends with the command has no reader; errors are in the answer.
        configure_logging("error")
    async with open_embedded_studio(called.settings()) as api:
        yield api


@asynccontextmanager
async def running_server(settings: Settings) -> AsyncIterator[StudioApi | None]:
    """A connection to the server that works on this state folder; None where none does."""
    from app.local_access import read_local_access

    found = read_local_access(settings.state_dir)
    if found is None:
        yield None
        return
    async with connect(Login(found.url, found.key, is_local=True)) as api:
        yield api


def require_own(state_dir: Path) -> None:
    """Raises Forbidden for a state folder of another user: its files must not become ours."""
    try:
        owner = state_dir.stat().st_uid
    except FileNotFoundError:
        return
    except OSError:
        # A folder above it is closed to us.
        raise _not_ours(state_dir, "another user") from None
    if owner != os.geteuid():
        raise _not_ours(state_dir, _user(owner))


def require_no_server(state_dir: Path, command: str) -> None:
    """Raise Conflict where a server runs: for commands that need the store for themselves."""
    from app.local_access import read_local_access

    require_own(state_dir)
    if (running := read_local_access(state_dir)) is not None:
        raise Conflict(
            "server.running",
            f"The server at {running.url} (process {running.pid}) works on {state_dir.absolute()}.",
            f"Stop it (Ctrl-C, or `kill {running.pid}`), then run `soundstage {command}` again.",
        )


def require_private_transport(url: str, *, allowed: bool) -> None:
    """Raise Forbidden for plain HTTP that leaves this machine, unless it was allowed."""
    from soundstage.settings.outgoing import is_loopback_host

    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback_host(parts.hostname or "") and not allowed:
        raise Forbidden(
            "server.plain_http",
            f"A key that goes to {url} can be read on the way: it is plain HTTP to another machine.",
            f"Use its https address, or say `soundstage login {url} --allow-plain-http`.",
        )


@asynccontextmanager
async def connect(login: Login) -> AsyncIterator[StudioApi]:
    """Opens a connection to a server. Raises Forbidden before a key would leave this machine unencrypted."""
    from app.cli.studio_api import TIMEOUT_S, StudioApi
    from soundstage.http import open_client

    require_private_transport(login.url, allowed=login.plain_http or login.is_local)
    client = open_client(
        login.url,
        headers={"Authorization": f"Bearer {login.key}"},
        timeout=TIMEOUT_S,
        tls=tls_trust(login.authority),
    )
    async with client:
        yield StudioApi(client, login.url, remote=not login.is_local)


def _known(url: str) -> Login:
    login = login_for(url)
    if login is None:
        raise Unauthorized(
            "login.required", f"There is no key for {url} yet.", f"Save one with `soundstage login {url}`."
        )
    return login


def tls_trust(authority: str | None) -> Any:
    """Returns the authorities that are trusted for a server: the usual ones, or the one in a file."""
    if authority is None:
        return True
    from soundstage.errors import Invalid
    from soundstage.http import tls_context

    try:
        return tls_context(ca_file=authority)
    except OSError as error:
        raise Invalid(
            "login.bad_authority",
            f"{authority} holds no certificate of an authority: {error.strerror or error}.",
            "Log in again with --authority and the file of the server's authority.",
        ) from error


def _exists(state_dir: Path) -> bool:
    try:
        return state_dir.exists()
    except OSError:
        return True


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _not_ours(state_dir: Path, owner: str) -> Forbidden:
    return Forbidden(
        "state.not_yours",
        f"The state folder {state_dir.absolute()} belongs to {owner}, and you are {_user(os.geteuid())}.",
        "Start a server of your own with `soundstage up` elsewhere, or save a key for theirs: "
        "`soundstage login URL`.",
    )
