"""Opens the server's socket before the server starts; a taken port is a clear error then. Used by `up`."""

from __future__ import annotations

import errno
import socket

from soundstage.errors import Unavailable
from soundstage.settings import Settings

BACKLOG = 2048


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens on `http.host` and `http.port`; connections wait while the server restarts."""
    host, port = settings.http.host, settings.http.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host.strip("[]"), port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _explained(error, host, port) from error
    return opened


def url_of(listening: socket.socket) -> str:
    """Where this machine reaches the server: an address that means "all" is reached on loopback."""
    host, port = listening.getsockname()[:2]
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _explained(error: OSError, host: str, port: int) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        hint = "Is Soundstage running already? Otherwise set http.port (SOUNDSTAGE_HTTP__PORT) to a free one."
    elif error.errno == errno.EACCES:
        hint = "Ports below 1024 belong to root: set http.port to a higher one, or put a proxy in front."
    else:
        hint = "Check http.host: it must be an address of this machine."
    return Unavailable("server.cannot_listen", f"{host}:{port} cannot be taken: {error.strerror}.", hint)
