"""Checks whether a page of another origin may have sent a request with our cookie (CSRF); used by the
authenticator.

A browser sends cookies also on behalf of pages that somebody else wrote: a page may post forms to
http://127.0.0.1:8000. Browsers say in `Sec-Fetch-Site`, or for writes in `Origin`, where a request starts: it
must be our own page, or an address that the user typed. `same-site` is not enough, because every port of
localhost is the same site. Programs that are no browsers send neither header, and pass. A page whose name was
rebound to our address (DNS rebinding) passes as well, and gets nothing: the cookie belongs to our name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi.requests import HTTPConnection


def is_same_origin(connection: HTTPConnection, public_host: str | None = None) -> bool:
    """Returns whether no page of another origin can have sent the request.

    `public_host` (`studio.example:8443`) is our name in browsers when a proxy changes the Host header.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        # The browser's own verdict, which no page can forge, and which no proxy confuses.
        return site in ("same-origin", "none")
    origin = connection.headers.get("origin")
    if origin is not None:
        # With the port: another server on this machine is another origin.
        return _net_location(origin) in {connection.headers.get("host", "").lower(), public_host}
    # Every browser sends Origin or Sec-Fetch-Site with a write, and Origin with a WebSocket.
    return True


def _net_location(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
