"""Measures a picture, or one frame of a video: faces, sharpness, light, colours; `avatar look` calls it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np

from avatar.encode.atomic import write_bytes
from avatar.errors import InvalidInput, Unavailable
from avatar.face.landmarks import Picture
from avatar.face.pictures import MAX_PIXELS, is_picture, picture_size, read_picture
from avatar.face.scaling import at_most
from avatar.media_files import decodable, open_media
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.named_media import require_file
from avatar.spec import FaceBox, Finished, MediaFacts, Notice, PictureReport, StageStarted

LOOKED_AT_PX = 1280
SHOWN_PX = 1024
MIN_PX = 16
JPEG_QUALITY = 85
FARTHEST_MS = 24 * 3600 * 1000


def look_at(path: Path, ms: int, shown: Path | None, context: Context) -> Finished:
    """Measures the picture of a file, at `ms` where it is a video (its last frame when it is shorter).

    With `shown`, a JPEG of at most 1024 pixels is written there. Raises InvalidInput: `media.missing`,
    `media.unreadable`, `media.no_picture`, `picture.too_small`, `picture.too_large`, those of `read_picture`.
    """
    context.tell(StageStarted(stage="prepare"))
    require_file(path)
    if is_picture(path):
        from avatar.face.portrait import flatten

        picture = flatten(read_picture(path, max_side_px=LOOKED_AT_PX))
        width, height = picture_size(path)
        at_ms = None
    else:
        picture, at_ms = _frame(path, min(max(ms, 0), FARTHEST_MS))
        height, width = picture.shape[:2]
        picture = at_most(picture, LOOKED_AT_PX)
    if min(picture.shape[:2]) < MIN_PX:
        raise InvalidInput(
            "picture.too_small",
            f"The picture has {width} x {height} pixels: there is nothing to be seen.",
            f"Use a picture of at least {MIN_PX} pixels on its shorter side.",
        )
    context.check()
    faces, notices = _faces(picture, width / picture.shape[1])
    # Only here: doctor and help do not wait for it.
    from avatar.measure.picture import exposure, main_colours, sharpness

    report = PictureReport(
        width=width,
        height=height,
        at_ms=at_ms,
        faces=faces,
        sharpness=sharpness(picture),
        colours=main_colours(picture),
        **exposure(picture),
    )
    if shown is not None:
        _write_jpeg(at_most(picture, SHOWN_PX), shown)
    return Finished(
        files=() if shown is None else (describe("shown", shown),),
        duration_ms=0,
        frames=1,
        warnings=notices,
        media=MediaFacts(kind="image" if at_ms is None else "video", width=width, height=height),
        sight=report,
    )


def _frame(path: Path, ms: int) -> tuple[Picture, int]:
    """The upright frame shown at `ms`, uint8 BGR (h, w, 3), and the moment that it belongs to."""
    try:
        with open_media(path) as container:
            film = next(iter(container.streams.video), None)
            if film is None:
                raise InvalidInput(
                    "media.no_picture", f"{path.name} is a sound.", "Name a picture or a video."
                )
            if not decodable(film):
                raise _unreadable()
            if film.codec_context.width * film.codec_context.height > MAX_PIXELS:
                shape = f"{film.codec_context.width} x {film.codec_context.height}"
                raise InvalidInput(
                    "picture.too_large",
                    f"The video's frames have {shape} pixels; the limit is {MAX_PIXELS // 10**6} million.",
                    "Scale the video down.",
                )
            container.seek(ms * 1000, backward=True)
            last: av.VideoFrame | None = None
            for frame in container.decode(film):
                if last is not None and frame.time is not None and frame.time * 1000 > ms:
                    break
                last = frame
            if last is None:
                raise _unreadable()
            pixels = np.asarray(last.to_ndarray(format="bgr24"), np.uint8)
            turned = np.ascontiguousarray(np.rot90(pixels, round(last.rotation / 90)))
            return turned, round((last.time or 0) * 1000)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable() from error


def _faces(picture: Picture, scale: float) -> tuple[tuple[FaceBox, ...] | None, tuple[Notice, ...]]:
    """The faces in pixels of the full picture; None and a notice where none can be looked for."""
    from avatar.face.search import find_faces
    from avatar.face.tracker import open_tracker

    try:
        with closing(open_tracker(max_faces=32)) as tracker:
            found = find_faces(picture, tracker)
    except Unavailable as error:
        return None, (Notice(code=error.code, message=error.message),)
    seen = []
    for face in found:
        left, top, right, bottom = (edge * scale for edge in face.box)
        seen.append(
            FaceBox(left=round(left), top=round(top), width=round(right - left), height=round(bottom - top))
        )
    return tuple(seen), ()


def _write_jpeg(picture: Picture, target: Path) -> None:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, data.tobytes())


def _unreadable() -> InvalidInput:
    return InvalidInput(
        "media.unreadable",
        "The file is not a picture or video that can be read.",
        "Check that the file is whole, or save it in another format.",
    )
