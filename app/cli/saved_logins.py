"""Keys of servers, saved by `soundstage login` in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from soundstage.errors import Forbidden, Invalid

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Login:
    """A server and the key for it. `authority` is the file of the CA that its certificate comes from.

    `is_local` marks the server of this state folder, whose key is never saved here.
    """

    url: str
    key: str
    authority: str | None = None
    plain_http: bool = False
    is_local: bool = False


def logins_file() -> Path:
    """Return the path of the saved logins (XDG base directories)."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(configured) if configured else Path.home() / ".config") / "soundstage" / "logins.json"


def normalize_url(text: str) -> str:
    """Return scheme, host and port of a server's URL; raise Invalid `server.bad_url`."""
    url = text.strip() if "://" in text else f"https://{text.strip()}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise Invalid(
            "server.bad_url",
            f"{text[:200]!r} is no address of a server.",
            "Write it like https://studio.example.org or http://127.0.0.1:8000.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    shown = "" if port in (None, default) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


def load_logins() -> list[Login]:
    """Return all saved logins, the last one first. Raises Forbidden where others can read them."""
    path = logins_file()
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Forbidden(
                    "login.readable_by_others",
                    f"{path} holds keys, and others on this machine can read it (mode {mode:04o}).",
                    f"`chmod 600 {path}`, and log in again with new keys if they may have been read.",
                )
            return [Login(**one) for one in json.load(file)["logins"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(
            "login.file_unreadable", f"{path} cannot be read: {error}.", f"Remove it and log in again: {path}"
        ) from error


def login_for(url: str) -> Login | None:
    """Return the saved login of a server, or None."""
    return next((one for one in load_logins() if one.url == url), None)


def save_login(login: Login) -> None:
    """Save a login as the last one."""
    _write([login, *(one for one in load_logins() if one.url != login.url)])


def forget_login(url: str) -> bool:
    """Remove a saved login; return whether there was one."""
    before = load_logins()
    after = [one for one in before if one.url != url]
    if len(after) < len(before):
        _write(after)
    return len(after) < len(before)


def _write(logins: list[Login]) -> None:
    path = logins_file()
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "w") as file:  # noqa: PTH123
        json.dump({"logins": [asdict(one) for one in logins]}, file)
    draft.replace(path)
