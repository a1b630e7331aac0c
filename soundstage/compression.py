"""Compresses whole textual answers for clients that accept it; installed by the applications.

Streams, media and what is encoded already pass unchanged. So do answers to anything but GET, where keys and
other secrets are handed out, and to requests that another site has caused: without those an attacker cannot
learn a secret from the length of an answer (BREACH).
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from types import MappingProxyType

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1024
THREAD_BYTES = 64 * 1024
"""Larger bodies are compressed in another thread: they would block the event loop for milliseconds."""
TYPES = (
    "application/json",
    "application/problem+json",
    "application/javascript",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
)
OTHER_SITES = frozenset({"cross-site", "same-site"})

ENCODERS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "br": lambda body: bytes(brotli.compress(body, quality=4)),
        "gzip": lambda body: gzip.compress(body, compresslevel=5, mtime=0),
    }
)
"""The preferred first."""


def choose_encoding(header: str) -> str | None:
    """Return which of our encodings an Accept-Encoding (RFC 9110 §12.5.3) takes, the preferred one."""
    taken = set()
    for part in header.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        refused = any(one.startswith("q=") and not one[2:].strip("0.") for one in parameters)
        if not refused:
            taken.add(name)
    return next((name for name in ENCODERS if name in taken), None)


class Compression:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = choose_encoding(headers.get("accept-encoding", ""))
        if headers.get("sec-fetch-site", "") in OTHER_SITES:
            encoding = None
        await self._app(scope, receive, _Answer(send, encoding))


class _Answer:
    """Holds the head of an answer back until its first piece says whether that is all."""

    def __init__(self, send: Send, encoding: str | None) -> None:
        self._send = send
        self._encoding = encoding
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            MutableHeaders(raw=message["headers"]).add_vary_header("Accept-Encoding")
            self._head = message
            return
        if self._head is not None:
            head, self._head = self._head, None
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                message = await self._compressed(head, message)
            await self._send(head)
        await self._send(message)

    async def _compressed(self, head: Message, message: Message) -> Message:
        body: bytes = message.get("body", b"")
        if self._encoding is None or len(body) < MIN_BYTES:
            return message
        encode = ENCODERS[self._encoding]
        small = encode(body) if len(body) < THREAD_BYTES else await asyncio.to_thread(encode, body)
        headers = MutableHeaders(raw=head["headers"])
        headers["Content-Encoding"] = self._encoding
        headers["Content-Length"] = str(len(small))
        if (etag := headers.get("etag", "")).startswith('"'):
            headers["ETag"] = f"W/{etag}"
        return {**message, "body": small}


def _is_text(head: Message) -> bool:
    headers = Headers(raw=head["headers"])
    # A part of a file is a part of its own bytes.
    if (
        "accept-ranges" in headers
        or "content-encoding" in headers
        or "no-transform" in headers.get("cache-control", "")
    ):
        return False
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return head["status"] != 206 and media_type in TYPES
