"""Opens HTTP clients for our own servers and those that the operator names: Nomad, OPA, the provisioning API.

URLs that people name go through `outgoing_client`, which checks where they lead.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from soundstage.http.tls_files import RenewingTransport, TlsFiles
from soundstage.http.traced import TracedTransport
from soundstage.telemetry import metrics

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)


def open_client(
    base_url: str = "",
    *,
    timeout: float | httpx.Timeout,
    tls: ssl.SSLContext | bool | TlsFiles = True,
    headers: Mapping[str, str] | None = None,
    limits: httpx.Limits = LIMITS,
    unix_socket: Path | None = None,
) -> httpx.AsyncClient:
    """Returns a client without proxies and redirects. `unix_socket` takes the place of the URLs' host. Files
    of `tls` are read again when they have changed; raises OSError when they cannot be read now.
    """

    def build(verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:
        socket = None if unix_socket is None else str(unix_socket)
        return _MeasuredTransport(verify=verify, trust_env=False, limits=limits, uds=socket)

    if isinstance(tls, TlsFiles):
        transport: httpx.AsyncBaseTransport = RenewingTransport(tls, build)
    else:
        transport = build(common_tls_context() if tls is True else tls)
    return httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        transport=TracedTransport(transport, propagate=True),
        trust_env=False,
        follow_redirects=False,
    )


def open_blocking_client(
    base_url: str = "",
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpx.Client:
    """Returns the same for code without an event loop."""
    return httpx.Client(
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        verify=tls or common_tls_context(),
        trust_env=False,
        follow_redirects=False,
    )


def web_socket_url(url: str) -> str:
    """Returns the ws or wss address of an http or https one, without a slash at its end."""
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}"


def common_tls_context(*, trust_env: bool = False) -> ssl.SSLContext:
    """Returns the context that trusts the usual authorities; with `trust_env`, those of SSL_CERT_FILE or
    SSL_CERT_DIR. Clients share it, because reading the authorities takes 20 ms of processor time.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if trust_env else ()
    return _read_authorities(trust_env, *(os.environ.get(name) for name in names))


@cache
def _read_authorities(trust_env: bool, *places: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=trust_env)


class _MeasuredTransport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await measure_answer("internal", super().handle_async_request(request))


async def measure_answer(destination: str, answering: Awaitable[httpx.Response]) -> httpx.Response:
    """Measures a request to its headers."""
    began_s, result = time.perf_counter(), "failed"
    try:
        answer = await answering
        result = "ok" if answer.status_code < httpx.codes.BAD_REQUEST else "refused"
        return answer
    finally:
        metrics.OUTGOING_SECONDS.observe(time.perf_counter() - began_s, destination, result)


@contextmanager
def http_errors(error_of: Callable[[httpx.HTTPError], Exception]) -> Iterator[None]:
    """Raises `error_of(error)` in the place of each error of httpx, which stays its cause."""
    try:
        yield
    except httpx.HTTPError as error:
        raise error_of(error) from error
