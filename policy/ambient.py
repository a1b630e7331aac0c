"""When a request is trusted for where it comes from (cookie, this machine) instead of a key that it carries.

A browser sends cookies, and connects from this machine, also on behalf of pages that somebody else wrote.

- *DNS rebinding*: a page of evil.example can let its own name point to 127.0.0.1 and then talk to us as if we
  were its own server. Its requests still say `Host: evil.example`, so the Host must be a loopback name too.
- *Cross-site requests*: a page may post forms to http://127.0.0.1:8000. Browsers tell in `Sec-Fetch-Site`, or
  for writes in `Origin`, where a request starts: it must be our own page, or an address that the user typed.
  `same-site` is not enough, because every port of localhost is the same site. Programs that are no browsers
  send neither header, and pass.
- *Proxies*: behind a proxy on this machine everybody on the internet would come from 127.0.0.1. So the trust
  is off by default when `http.public_url` is set; a request that was forwarded is never trusted, nor one in
  HTTP/1.0, which no browser speaks and silent proxies often do. A proxy that hides itself better cannot be
  told from a browser: who runs one sets `auth.loopback_is_admin = false`.
- *Other users of this machine* reach the port as well: on a shared machine set the same.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi.requests import HTTPConnection

FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def comes_from_this_machine(connection: HTTPConnection) -> bool:
    """Whether peer and Host header are both loopback and nobody forwarded the request."""
    if connection.client is None or not _is_loopback_address(connection.client.host):
        return False
    if any(name in connection.headers for name in FORWARDING_HEADERS):
        return False
    if connection.scope.get("http_version") == "1.0":
        return False
    return _is_loopback_name(_host_name(connection.headers.get("host", "")))


def starts_at_our_own_page(connection: HTTPConnection, public_host: str | None = None) -> bool:
    """Whether no foreign page can have caused the request.

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


def _is_loopback_address(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_loopback_name(name: str) -> bool:
    # RFC 6761 keeps `localhost` and every name below it on this machine.
    return name == "localhost" or name.endswith(".localhost") or _is_loopback_address(name)


def _net_location(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """`[::1]:8000` → `::1`, `LocalHost:8000` → `localhost`."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""
