"""The client of all outgoing calls: connects to the very address that was checked, follows no redirect, and
bounds the time and size of an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import httpx

from soundstage.errors import SoundstageError, Upstream
from soundstage.http.destinations import Destinations, Target, resolve
from soundstage.http.internal import common_tls_context, measure_answer
from soundstage.http.traced import TracedTransport

LOOP_HEADER = "soundstage-outgoing"
"""On every outgoing call; proxies pass headers on that they do not know (RFC 9110 §5.1)."""
MAX_CONNECTION_ATTEMPTS = 3
"""Of the addresses of one name; each may take the whole time of connecting."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`silence_s`: longest wait for the next bytes. `total_s`: from the call to the end of its answer; None
    for streams and uploads. `answer_bytes`: of the body.
    """

    silence_s: float
    answer_bytes: int
    total_s: float | None = None
    connect_s: float = 10.0


def outgoing_client(
    destinations: Destinations,
    bounds: Bounds,
    *,
    base_url: httpx.URL | str = "",
    headers: Mapping[str, str] | None = None,
    verify: ssl.SSLContext | bool = True,
    use_proxies: bool = False,
) -> httpx.AsyncClient:
    """A client whose calls raise, beside httpx's errors, those of `resolve` and Upstream
    `outgoing.answer_too_large`, `outgoing.answer_too_slow`.

    `use_proxies`: those of the environment, for services that the operator names on the Internet; a proxy
    looks names up itself.
    """
    timeout = httpx.Timeout(bounds.silence_s, connect=min(bounds.connect_s, bounds.silence_s))
    return httpx.AsyncClient(
        base_url=base_url,
        # Unpacking would let a few bytes become gigabytes.
        headers={"accept-encoding": "identity", **(headers or {}), LOOP_HEADER: "1"},
        transport=TracedTransport(
            OutgoingTransport(destinations, bounds, verify=verify, use_proxies=use_proxies), propagate=False
        ),
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )


def check_declared_length(answer: httpx.Response, bounds: Bounds) -> int:
    """Return the bytes that an answer says it has, 0 where it says nothing. Raises Upstream
    `outgoing.answer_too_large` before anything of its body is read.
    """
    declared = answer.headers.get("content-length", "").strip()
    if not (declared.isascii() and declared.isdecimal()):
        return 0
    # Python refuses to convert thousands of digits; no file has a size of 20.
    digits = declared.lstrip("0")
    if len(digits) > 19 or int(digits or "0") > bounds.answer_bytes:
        raise _too_large(bounds)
    return int(digits or "0")


class OutgoingTransport(httpx.AsyncBaseTransport):
    """Resolves and checks each request's host, connects to that address; TLS and `Host` keep the name."""

    def __init__(
        self,
        destinations: Destinations,
        bounds: Bounds,
        *,
        verify: ssl.SSLContext | bool = True,
        use_proxies: bool = False,
    ) -> None:
        self._destinations = destinations
        self._bounds = bounds
        self._verify = verify
        self._use_proxies = use_proxies
        # One pool a name: connections are found again by address, and two names may share one.
        self._pools: dict[tuple[str, str, str], httpx.AsyncHTTPTransport] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        total_s = self._bounds.total_s
        deadline = None if total_s is None else asyncio.get_running_loop().time() + total_s
        try:
            async with asyncio.timeout_at(deadline):
                answer = await measure_answer("external", self._sent(request))
        except TimeoutError as error:
            raise _too_slow(self._bounds) from error
        if not isinstance(answer.stream, httpx.AsyncByteStream):
            raise TypeError("the transport gave a synchronous stream")
        answer.stream = _BoundedStream(answer.stream, answer.headers, self._bounds, deadline)
        # It was not asked for; the stream refuses it when it is read.
        answer.headers.pop("content-encoding", None)
        return answer

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxy_of(request.url) if self._use_proxies else None
        try:
            target = await resolve(request.url, self._destinations)
        except SoundstageError as error:
            if proxy is not None and error.code == "outgoing.unknown_host":
                return await self._pool(request.url, proxy).handle_async_request(request)
            if self._destinations.named_by_operator and error.code == "outgoing.unknown_host":
                raise httpx.ConnectError(error.message, request=request) from error
            raise
        if proxy is not None:
            return await self._pool(request.url, proxy).handle_async_request(request)
        return await self._sent_to(target, request)

    async def _sent_to(self, target: Target, request: httpx.Request) -> httpx.Response:
        """To the first address that takes the connection; nothing was sent to those before it."""
        candidates = target.addresses[:MAX_CONNECTION_ATTEMPTS]
        for address in candidates:
            there = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                # The certificate is still that of the name.
                extensions={**request.extensions, "sni_hostname": target.host},
            )
            try:
                return await self._pool(request.url, None).handle_async_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == candidates[-1]:
                    raise
        raise httpx.ConnectError(f"{target.host} has no address", request=request)

    def _pool(self, url: httpx.URL, proxy: str | None) -> httpx.AsyncHTTPTransport:
        key = (url.scheme, url.netloc.decode(), proxy or "")
        if key not in self._pools:
            verify = common_tls_context(trust_env=self._use_proxies) if self._verify is True else self._verify
            self._pools[key] = httpx.AsyncHTTPTransport(
                verify=verify, proxy=proxy, trust_env=self._use_proxies
            )
        return self._pools[key]

    def _proxy_of(self, url: httpx.URL) -> str | None:
        found = getproxies()
        chosen = found.get(url.scheme) or found.get("all")
        if not chosen or proxy_bypass(url.host):
            return None
        return chosen if "://" in chosen else f"http://{chosen}"


class _BoundedStream(httpx.AsyncByteStream):
    """The body of an answer, up to its bounds."""

    def __init__(
        self, inner: httpx.AsyncByteStream, headers: httpx.Headers, bounds: Bounds, deadline: float | None
    ) -> None:
        self._inner = inner
        self._encoding = headers.get("content-encoding", "identity").strip().lower() or "identity"
        self._bounds = bounds
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding != "identity":
            raise httpx.DecodingError(f"the answer is packed with {self._encoding}, which was not asked for")
        received = 0
        chunks = aiter(self._inner)
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise _too_slow(self._bounds) from error
            received += len(chunk)
            if received > self._bounds.answer_bytes:
                raise _too_large(self._bounds)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _too_large(bounds: Bounds) -> Upstream:
    return Upstream(
        "outgoing.answer_too_large",
        f"The answer is larger than {bounds.answer_bytes} bytes.",
        "Check what answers at the URL.",
    )


def _too_slow(bounds: Bounds) -> Upstream:
    return Upstream(
        "outgoing.answer_too_slow",
        f"There was no whole answer within {bounds.total_s:g} s.",
        "Check what answers at the URL; it may be overloaded.",
        status=504,
    )


def retry_after_of(answer: httpx.Response) -> float | None:
    """Returns the seconds of `Retry-After`, which may hold a number or a date (RFC 9110 §10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
