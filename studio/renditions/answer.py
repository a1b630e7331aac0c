"""Answers requests for thumbnails and storyboards; used by the routes of assets, renders and personas."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from studio.downloads import Conditional
from studio.renditions.service import Files
from studio.thumbnails.service import MEDIA_TYPE as THUMBNAIL_TYPE
from studio.thumbnails.service import ThumbnailWidth

WidthQuery = Annotated[ThumbnailWidth, Query(description="160, 320, 640 or 1280 pixels")]


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


def thumbnail_answer(condition: Conditional, thumbnail: tuple[str, Path], original: str) -> Response:
    """Return a thumbnail."""
    return condition.file(thumbnail, "thumbnail.webp", THUMBNAIL_TYPE, original)


async def track_answer(condition: Conditional, files: Files, sheet: str, original: str) -> Response:
    """Return the index of a storyboard as WebVTT."""
    text = storyboard_vtt(await storyboard_index(files, sheet))
    return condition.text(text.encode(), "text/vtt", original)


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
