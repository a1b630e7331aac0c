"""Answers a request for a stored file: ranges, and headers that keep a browser from guessing what it is."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Query, Request
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


def content_answer(content: bytes, *, media_type: str, sha256: str) -> Response:
    """Return a small content whole: it is compressed, and its file may be gone before it is sent."""
    return Response(content, media_type=media_type, headers=_headers(sha256))


def _headers(sha256: str) -> dict[str, str]:
    return {
        "ETag": f'"{sha256.removeprefix("sha256:")}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        # A stored file is never a page of ours: should one hold a script, it runs nowhere.
        "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; sandbox",
    }


VersionQuery = Annotated[
    str | None, Query(alias="v", max_length=64, description="how the original's SHA-256 begins")
]


@dataclass(frozen=True, slots=True)
class Conditional:
    """A request for something made of an original (RFC 9110 §13). An address that names the content of the
    original by `version` may be kept for good; others ask again.
    """

    request: Request
    version: str | None = None

    def answer(self, answer: Response, original: str) -> Response:
        """Return `answer`, which has an ETag, or 304 to who has it already."""
        if self.version and original.removeprefix("sha256:").startswith(self.version):
            answer.headers["Cache-Control"] = FOR_EVER
        known = self.request.headers.get("if-none-match", "").split(",")
        if answer.headers["ETag"] in [one.strip().removeprefix("W/") for one in known]:
            headers = {name: answer.headers[name] for name in ("ETag", "Cache-Control")}
            return Response(status_code=304, headers=headers)
        return answer

    def file(self, file: tuple[str, Path], name: str, media_type: str, original: str) -> Response:
        """The same for a stored file, by its hash and path."""
        return self.answer(file_answer(file[1], name=name, media_type=media_type, sha256=file[0]), original)

    def text(self, content: bytes, media_type: str, original: str) -> Response:
        """The same for a text that was made of it."""
        digest = hashlib.sha256(content).hexdigest()
        return self.answer(content_answer(content, media_type=media_type, sha256=digest), original)


def _conditional(request: Request, version: VersionQuery = None) -> Conditional:
    return Conditional(request, version)


ConditionalDep = Annotated[Conditional, Depends(_conditional)]
