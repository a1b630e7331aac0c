"""Answers a request for a thumbnail; used by the routes of renders and assets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from studio.downloads import cacheable_answer, file_answer
from studio.thumbnails.service import MEDIA_TYPE, ThumbnailWidth

WidthQuery = Annotated[ThumbnailWidth, Query(description="160, 320, 640 or 1280 pixels")]
VersionQuery = Annotated[
    str | None, Query(alias="v", max_length=64, description="how the original's SHA-256 begins")
]


def thumbnail_answer(
    request: Request, thumbnail: tuple[str, Path], *, original: str, version: str | None
) -> Response:
    """Return the thumbnail; see `kept_answer` for `original` and `version`."""
    sha256, path = thumbnail
    answer = file_answer(path, name="thumbnail.webp", media_type=MEDIA_TYPE, sha256=sha256)
    return cacheable_answer(request, answer, original=original, version=version)
