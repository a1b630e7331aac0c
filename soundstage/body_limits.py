"""Refuses bodies that are too large or no text, before they are parsed; wrapped around the app."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundstage.errors import Invalid, SoundstageError, TooLarge, problem_response

KIB = 1 << 10
MIB = 1 << 20
# What a multipart form adds around the file itself.
FORM_OVERHEAD_BYTES = 64 * KIB

# One escape of a JSON string: a code unit, or any other.
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def install_body_limits(
    app: FastAPI, *, body_kib: int, upload_mib: int, by_path: Mapping[str, int] | None = None
) -> None:
    """JSON and text up to `body_kib`; forms with files, and raw files, up to `upload_mib`.

    `by_path` maps the beginning of a path to a limit in bytes for bodies of every kind.
    """
    app.add_middleware(
        BodyLimit,
        body_bytes=body_kib * KIB,
        upload_bytes=upload_mib * MIB + FORM_OVERHEAD_BYTES,
        by_path=by_path,
    )


class BodyLimit:
    """Counts what really arrives: a length that the caller states may be missing or wrong."""

    def __init__(
        self, app: ASGIApp, body_bytes: int, upload_bytes: int, by_path: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._by_path = dict(by_path or {})
        self._body_bytes = body_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        small = (
            kind in ("", "application/x-www-form-urlencoded") or kind.startswith("text/") or "json" in kind
        )
        limit = self._body_bytes if small else self._upload_bytes
        own = [maximum for prefix, maximum in self._by_path.items() if scope["path"].startswith(prefix)]
        counted = _Counted(receive, send, min([limit, *own]))
        try:
            _check_encoding(headers)
            counted.check(_stated_length(headers))
            if "json" in kind:
                counted.replay = await _json_body(counted)
            await self._app(scope, counted.receive, counted.send)
            if counted.refusal is not None and not counted.started:
                # The framework has caught our error; its own answer, a vague 400, was held back.
                raise counted.refusal
        except SoundstageError as error:
            if counted.started:
                raise
            error.headers["Connection"] = "close"
            await problem_response(error)(scope, receive, send)


class _Counted:
    """The two channels of a request, with a count of what came in."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._arrived = 0
        self.started = False
        self.refusal: SoundstageError | None = None
        self.replay: bytes | None = None

    def check(self, size: int) -> None:
        if size > self._limit:
            limit = f"{self._limit // KIB} KiB" if self._limit < MIB else f"{self._limit // MIB} MiB"
            self.refusal = TooLarge(
                "http.body_too_large",
                f"The body is larger than {limit}.",
                "Send less. With a key, `limits.body_kib` and `limits.upload_mib` are the limits.",
            )
            raise self.refusal

    async def receive(self) -> Message:
        if self.replay is not None:
            body, self.replay = self.replay, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        self._arrived += len(message.get("body", b""))
        self.check(self._arrived)
        return message

    async def send(self, message: Message) -> None:
        if self.refusal is None or self.started:
            self.started = True
            await self._send(message)


async def _json_body(counted: _Counted) -> bytes | None:
    """The whole body of a JSON request; None when the caller went away before its end."""
    parts: list[bytes] = []
    while True:
        message = await counted.receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"".join(parts)
    if not is_text(body):
        raise Invalid(
            "request.bad_text",
            "The body holds something that is no Unicode text.",
            "Send UTF-8, and both halves of a surrogate pair.",
        )
    return body


def is_text(body: bytes) -> bool:
    """Returns whether a JSON body is UTF-8 without lone surrogates.

    Python's JSON reader lets both pass. Such text can be stored and never be sent back: one bad request would
    break a list for all users.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    expected_at = -1
    for escape in _ESCAPE.finditer(body):
        unit = int(escape[1], 16) if escape[1] else 0
        follows = escape.start() == expected_at
        if follows != (0xDC00 <= unit <= 0xDFFF):
            return False
        expected_at = escape.end() if 0xD800 <= unit <= 0xDBFF else -1
        if expected_at >= 0 and not body.startswith(b"\\u", expected_at):
            return False
    return True


def _check_encoding(headers: Headers) -> None:
    """Raise for compressed bodies: a megabyte of zeros takes a kilobyte, and a limit must hold for both."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Invalid(
            "http.body_encoded",
            "A compressed body is not read.",
            "Send it without Content-Encoding.",
            status=415,
        )


def _stated_length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise Invalid(
            "http.bad_length", "Content-Length is not a number.", "Send the size in bytes.", status=400
        )
    return int(text)
