"""Opens the server's socket before the server starts; a taken port is a clear error then. Used by `up`."""

from __future__ import annotations

import errno
import socket
from typing import Any

from soundstage.errors import Unavailable
from soundstage.settings import Settings

BACKLOG = 2048


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens on `http.host` and `http.port`; connections wait while the server restarts."""
    return open_socket(settings.http.host, settings.http.port, "http.host", "http.port")


def https_socket(settings: Settings) -> socket.socket:
    """A socket that listens on `http.tls_host` and `http.tls_port`."""
    return open_socket(settings.http.tls_host, settings.https_port, "http.tls_host", "http.tls_port")


def provisioning_sockets(settings: Settings) -> tuple[socket.socket, socket.socket]:
    """The plain and the TLS one of the provisioning process."""
    host = settings.provisioning.host
    plain = open_socket(host, settings.provisioning_port, "provisioning.host", "provisioning.port")
    try:
        port = settings.provisioning_tls_port
        return plain, open_socket(host, port, "provisioning.host", "provisioning.tls_port")
    except BaseException:
        plain.close()
        raise


def open_socket(host: str, port: int, host_setting: str, port_setting: str) -> socket.socket:
    """Raises `server.cannot_listen`, which names the setting to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host.strip("[]"), port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _explained(error, host, port, host_setting, port_setting) from error
    return opened


def proxy_options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's options for forwarding headers: those of `http.trusted_proxies` alone are believed.

    uvicorn itself would trust every process on this machine.
    """
    trusted = list(settings.http.trusted_proxies)
    return {"proxy_headers": bool(trusted), "forwarded_allow_ips": trusted}


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """Returns where this machine reaches the server: an address that means "all" is reached on loopback."""
    host, port = listening.getsockname()[:2]
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _explained(error: OSError, host: str, port: int, host_setting: str, port_setting: str) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        variable = f"SOUNDSTAGE_{port_setting.replace('.', '__').upper()}"
        hint = f"Is Soundstage running already? Otherwise set {port_setting} ({variable}) to a free one."
    elif error.errno == errno.EACCES:
        hint = f"Ports below 1024 belong to root: set {port_setting} higher, or put a proxy in front."
    else:
        hint = f"Check {host_setting}: it must be an address of this machine."
    return Unavailable("server.cannot_listen", f"{host}:{port} cannot be taken: {error.strerror}.", hint)


def plain_http_warning(settings: Settings) -> str:
    """Returns what plain HTTP means where others can reach it; empty where it is not offered to them."""
    url = settings.http.public_url
    if settings.bound_to_loopback or (url is not None and url.scheme == "https"):
        return ""
    return (
        f"Plain HTTP on {settings.http.host}:{settings.http.port}: everybody on the way can read and change "
        "what is sent. Use `soundstage up --tls` with http.host = 127.0.0.1, or a proxy that speaks https."
    )
