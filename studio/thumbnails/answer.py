"""Answers a request for a thumbnail; used by the routes of renders and assets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from studio.downloads import file_answer
from studio.thumbnails.service import MEDIA_TYPE, ThumbnailWidth

WidthQuery = Annotated[ThumbnailWidth, Query(description="160, 320, 640 or 1280 pixels")]
VersionQuery = Annotated[
    str | None, Query(alias="v", max_length=64, description="how the original's SHA-256 begins")
]
FOR_EVER = "private, max-age=31536000, immutable"


def thumbnail_answer(
    request: Request, thumbnail: tuple[str, Path], *, original: str, version: str | None
) -> Response:
    """An address that names the content by `version` may be kept for good; others ask again and get 304."""
    sha256, path = thumbnail
    answer = file_answer(path, name="thumbnail.webp", media_type=MEDIA_TYPE, sha256=sha256)
    if version and original.removeprefix("sha256:").startswith(version):
        answer.headers["Cache-Control"] = FOR_EVER
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if answer.headers["ETag"] in known:
        kept = {name: answer.headers[name] for name in ("ETag", "Cache-Control")}
        return Response(status_code=304, headers=kept)
    return answer
