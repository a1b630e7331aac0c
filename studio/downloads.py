"""Answers a request for a stored file: ranges, and headers that keep a browser from guessing what it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from soundstage.errors import NotFound

SHOWN = ("image/", "video/", "audio/", "text/vtt", "application/json", "application/x-subrip")

FOR_EVER = "private, max-age=31536000, immutable"


class StoredFile(FileResponse):
    """A file that may be deleted before it is sent: then the answer is `file.gone`, and no fault."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self.stat_result = await asyncio.to_thread(os.stat, self.path)
        except FileNotFoundError:
            raise NotFound(
                "file.gone", "The file was deleted meanwhile.", "Ask for what is there now."
            ) from None
        self.set_stat_headers(self.stat_result)
        await super().__call__(scope, receive, send)


def file_answer(
    path: Path, *, name: str, media_type: str, sha256: str, download: bool = False
) -> FileResponse:
    """Supports Range and If-Range (RFC 9110 §14). The content of a hash never changes, so it may be
    cached.
    """
    inline = not download and media_type.startswith(SHOWN)
    return StoredFile(
        path,
        media_type=media_type,
        filename=name or "file",
        content_disposition_type="inline" if inline else "attachment",
        headers=_headers(sha256),
    )


def picture_answer(picture: bytes, *, media_type: str, sha256: str) -> Response:
    """Return a small picture whose file may be gone before it is sent."""
    return Response(picture, media_type=media_type, headers=_headers(sha256))


def _headers(sha256: str) -> dict[str, str]:
    return {
        "ETag": f'"{sha256.removeprefix("sha256:")}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        # A stored file is never a page of ours: should one hold a script, it runs nowhere.
        "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; sandbox",
    }


def cacheable_answer(request: Request, answer: Response, *, original: str, version: str | None) -> Response:
    """Return `answer`, which has an ETag, or 304 to who has it already.

    An address that names the content of the original by `version` may be kept for good; others ask again.
    """
    if version and original.removeprefix("sha256:").startswith(version):
        answer.headers["Cache-Control"] = FOR_EVER
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if answer.headers["ETag"] in known:
        headers = {name: answer.headers[name] for name in ("ETag", "Cache-Control")}
        return Response(status_code=304, headers=headers)
    return answer
