"""Answers requests for storyboards, peaks and proxies; used by the routes of assets and renders."""

from __future__ import annotations

import asyncio
import hashlib
import json

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from studio.downloads import cacheable_answer, file_answer
from studio.renditions.service import Files


class StoryboardIndex(BaseModel):
    """Tile n of the sheet shows the time from `n * interval_ms` on; rows fill from the left."""

    sheet: str = Field(description="address of the picture")
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    count: int
    interval_ms: int
    duration_ms: int


def proxy_answer(request: Request, files: Files, *, original: str, version: str | None) -> Response:
    """Return the MP4; see `kept_answer` for `original` and `version`."""
    sha256, path = files["proxy"]
    answer = file_answer(path, name="proxy.mp4", media_type="video/mp4", sha256=sha256)
    return cacheable_answer(request, answer, original=original, version=version)


def storyboard_answer(request: Request, files: Files, *, original: str, version: str | None) -> Response:
    """Return the sheet of a storyboard."""
    sha256, path = files["storyboard"]
    answer = file_answer(path, name="storyboard.webp", media_type="image/webp", sha256=sha256)
    return cacheable_answer(request, answer, original=original, version=version)


async def track_answer(
    request: Request, files: Files, sheet: str, *, original: str, version: str | None
) -> Response:
    """Return the index of a storyboard as WebVTT."""
    text = storyboard_vtt(await storyboard_index(files, sheet))
    return text_answer(request, text.encode(), media_type="text/vtt", original=original, version=version)


async def peaks_answer(request: Request, files: Files, *, original: str, version: str | None) -> Response:
    """Return the waveform, whole, so that it is compressed."""
    content = await asyncio.to_thread(files["peaks"][1].read_bytes)
    return text_answer(request, content, media_type="application/json", original=original, version=version)


def text_answer(
    request: Request, content: bytes, *, media_type: str, original: str, version: str | None
) -> Response:
    """Return text that was made of a rendition."""
    digest = hashlib.sha256(content).hexdigest()
    answer = Response(content, media_type=media_type, headers={"ETag": f'"{digest}"'})
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return cacheable_answer(request, answer, original=original, version=version)


async def storyboard_index(files: Files, sheet: str) -> StoryboardIndex:
    """Return the worker's index with the address of its sheet."""
    index = json.loads(await asyncio.to_thread(files["storyboard_index"][1].read_bytes))
    return StoryboardIndex.model_validate({**index, "sheet": sheet})


def sheet_address(thing: str, sha256: str) -> str:
    """Return where the sheet of `thing` ("assets/ast_1") is, by the content it was made of."""
    return f"/api/{thing}/storyboard?v={sha256.removeprefix('sha256:')[:12]}"


def storyboard_vtt(index: StoryboardIndex) -> str:
    """Return the index as WebVTT whose cues name parts of the sheet (Media Fragments, `#xywh=`), as players
    read it.
    """
    blocks = ["WEBVTT"]
    for number in range(index.count):
        begin = number * index.interval_ms
        end = min(begin + index.interval_ms, index.duration_ms)
        left = number % index.columns * index.tile_width
        top = number // index.columns * index.tile_height
        place = f"{index.sheet}#xywh={left},{top},{index.tile_width},{index.tile_height}"
        blocks.append(f"{_clock(begin)} --> {_clock(end)}\n{place}")
    return "\n\n".join(blocks) + "\n"


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
