"""Puts small pictures of a whole video on one sheet, for scrubbing; `avatar storyboard` calls it."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import cv2
import numpy as np

from avatar.encode.atomic import write_bytes
from avatar.errors import InvalidInput
from avatar.face.landmarks import Picture
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe, require_other_files
from avatar.pipeline.film import Film, open_film, size_within, unreadable_film, upright
from avatar.spec import Finished, StageStarted

TILE_PX = 160
COLUMNS = 10
MAX_TILES = 100
SHORTEST_MS = 500
WEBP_QUALITY = 70
INDEX_VERSION = 1


def make_storyboard(path: Path, target: Path, context: Context) -> Finished:
    """Write a WebP sheet of at most 100 tiles, and its index as JSON beside it.

    Tile n stands for the time from `n * interval_ms` on; rows fill from the left. Raises InvalidInput
    `output.not_webp`, and as `open_film` does.
    """
    if target.suffix.lower() != ".webp":
        raise InvalidInput(
            "output.not_webp", f"Storyboards are WebP files, and {target.name} is named otherwise.",
            "Name it *.webp.",
        )  # fmt: skip
    index = target.with_suffix(".json")
    require_other_files(target, (target, index), (path,))
    context.tell(StageStarted(stage="frames"))
    with open_film(path) as film:
        duration_ms = max(1, round(film.duration_s * 1000))
        interval_ms = max(SHORTEST_MS, ceil(duration_ms / MAX_TILES))
        tiles = _tiles(film, path, ceil(duration_ms / interval_ms), interval_ms, context)
    height, width = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = ceil(len(tiles) / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = tile
    _, encoded = cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    facts = {
        "version": INDEX_VERSION, "tile_width": width, "tile_height": height, "columns": columns,
        "rows": rows, "count": len(tiles), "interval_ms": interval_ms, "duration_ms": duration_ms,
    }  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, encoded.tobytes())
    write_bytes(index, json.dumps(facts).encode())
    files = (describe("storyboard", target), describe("storyboard_index", index))
    return Finished(files=files, duration_ms=duration_ms, frames=len(tiles))


def _tiles(film: Film, path: Path, count: int, interval_ms: int, context: Context) -> list[Picture]:
    """The picture in the middle of each interval, all of the first one's size."""
    tiles: list[Picture] = []
    size: tuple[int, int] | None = None
    for number in range(count):
        context.check()
        frame = film.frame_at((number + 0.5) * interval_ms / 1000)
        if frame is None:
            break
        size = size or size_within(frame, TILE_PX, TILE_PX)
        tiles.append(upright(frame, *size))
    if not tiles:
        raise unreadable_film(path)
    return tiles
