"""Takes one telling picture out of a video; `avatar poster` calls it."""

from __future__ import annotations

from pathlib import Path

import cv2

from avatar.encode.atomic import write_bytes
from avatar.face.landmarks import Picture
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.film import open_film, size_within, unreadable_film, upright
from avatar.spec import Finished, MediaFacts, StageStarted

POSTER_PX = 1280
JPEG_QUALITY = 85
PLACES = (0.1, 0.35, 0.6, 0.0)
"""Parts of the film where it is looked for: films often begin and end in black."""
TELLING = 12.0
"""Standard deviation of brightness (of 255) from which a picture shows something."""


def make_film_poster(path: Path, target: Path, context: Context) -> Finished:
    """Write a JPEG of at most 1280 pixels. Raises as `open_film` does."""
    context.tell(StageStarted(stage="frames"))
    with open_film(path) as film:
        best: Picture | None = None
        contrast = -1.0
        for part in PLACES:
            context.check()
            frame = film.frame_at(part * film.duration_s)
            if frame is None:
                continue
            picture = upright(frame, *size_within(frame, POSTER_PX, POSTER_PX))
            found = float(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).std())
            if found > contrast:
                best, contrast = picture, found
            if contrast >= TELLING:
                break
    if best is None:
        raise unreadable_film(path)
    _, encoded = cv2.imencode(".jpg", best, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, encoded.tobytes())
    facts = MediaFacts(kind="video", width=best.shape[1], height=best.shape[0])
    return Finished(files=(describe("frame", target),), duration_ms=0, frames=1, media=facts)
