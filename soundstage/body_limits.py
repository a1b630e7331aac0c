"""Refuses bodies that are too large as they come in, before anybody parses them; wrapped around the app."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundstage.errors import Invalid, SoundstageError, TooLarge, problem_response

KIB = 1 << 10
MIB = 1 << 20
# What a multipart form adds around the file itself.
FORM_OVERHEAD_BYTES = 64 * KIB


def install_body_limits(app: FastAPI, *, body_kib: int, upload_mib: int) -> None:
    """JSON up to `body_kib`; multipart forms and raw files (any other type) up to `upload_mib`."""
    app.add_middleware(
        BodyLimit, body_bytes=body_kib * KIB, upload_bytes=upload_mib * MIB + FORM_OVERHEAD_BYTES
    )


class BodyLimit:
    """Counts what really arrives: a length that the caller states may be missing or wrong."""

    def __init__(self, app: ASGIApp, body_bytes: int, upload_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(headers.get("content-type", ""))
        arrived = 0
        exceeded = False
        started = False

        async def receive_counted() -> Message:
            nonlocal arrived, exceeded
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:
                exceeded = True
                raise _too_large(limit)
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            # The framework may have caught our error and made a vague 400 out of it.
            if exceeded and not started:
                return
            started = True
            await send(message)

        try:
            if _stated_length(headers) > limit:
                raise _too_large(limit)
            await self._app(scope, receive_counted, send_noted)
            if exceeded and not started:
                raise _too_large(limit)
        except SoundstageError as error:
            if started:
                raise
            error.headers["Connection"] = "close"
            await problem_response(error)(scope, receive, send)

    def _limit(self, content_type: str) -> int:
        kind = content_type.partition(";")[0].strip().lower()
        small = (
            kind in ("", "application/x-www-form-urlencoded") or kind.startswith("text/") or "json" in kind
        )
        return self._body_bytes if small else self._upload_bytes


def _stated_length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise Invalid(
            "http.bad_length", "Content-Length is not a number.", "Send the size in bytes.", status=400
        )
    return int(text)


def _too_large(limit: int) -> TooLarge:
    size = f"{limit // KIB} KiB" if limit < MIB else f"{limit // MIB} MiB"
    return TooLarge(
        "http.body_too_large",
        f"The body is larger than {size}.",
        "Send less, or raise `limits.body_kib` or `limits.upload_mib`.",
    )
