"""The address that the current request comes from; read by log lines and audit records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.types import Scope

_current: ContextVar[str | None] = ContextVar("request_source", default=None)


def request_source() -> str | None:
    """Return the peer address of the request that is being served; None outside of requests.

    Behind a proxy of `http.trusted_proxies` it is the address that the proxy reports.
    """
    return _current.get()


def peer_address(scope: Scope) -> str | None:
    """Return the address at the other end of a connection; None for sockets without addresses."""
    client = scope.get("client")
    return str(client[0]) if client else None


@contextmanager
def serving(source: str | None) -> Iterator[None]:
    """Make `source` the address of the current request."""
    token = _current.set(source)
    try:
        yield
    finally:
        _current.reset(token)
