"""Measures a picture, or one frame of a video: faces, sharpness, light, colours; `avatar look` calls it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np

from avatar.encode.poster import frame_on_show
from avatar.errors import InvalidInput, Unavailable
from avatar.face.landmarks import Picture
from avatar.face.pictures import is_picture, picture_size, read_picture
from avatar.face.scaling import at_most
from avatar.media_files import decodable, open_media
from avatar.named_media import require_file
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.film import require_size, write_jpeg
from avatar.spec import ColourShare, FaceBox, Finished, MediaFacts, Notice, PictureReport, StageStarted

LOOKED_AT_PX = 1280
SHOWN_PX = 1024
MIN_PX = 16
FARTHEST_MS = 24 * 3600 * 1000
_SHARPNESS_SIDE_PX = 640
_TILES = 8
_COLOURS_SIDE_PX = 64
_COLOURS = 5
_MIN_SHARE = 0.03
_NEARLY_BLACK, _NEARLY_WHITE = 10, 245


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
        write_jpeg(at_most(picture, SHOWN_PX), shown)
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
            require_size(film)
            last = frame_on_show(container, film, ms)
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


def _unreadable() -> InvalidInput:
    return InvalidInput(
        "media.unreadable",
        "The file is not a picture or video that can be read.",
        "Check that the file is whole, or save it in another format.",
    )


def sharpness(image_bgr: Picture) -> float:
    """Returns how sharp the sharpest tenth of a picture (h, w, 3) is: about 1 in focus, below 0.3 blurred.

    The spread of the Laplacian (Pech-Pacheco et al., ICPR 2000) over that of the brightness, per tile, at one
    size for all pictures: a sharp subject before a soft background counts as sharp, and dim light does not
    count as blur.
    """
    grey = cv2.cvtColor(at_most(image_bgr, _SHARPNESS_SIDE_PX), cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    found = []
    for rows in np.array_split(np.arange(grey.shape[0]), _TILES):
        for columns in np.array_split(np.arange(grey.shape[1]), _TILES):
            if rows.size and columns.size:
                part = np.ix_(rows, columns)
                found.append(float(edges[part].std()) / (float(grey[part].std()) + 4.0))
    return round(float(np.percentile(found, 90)), 3)


def exposure(image_bgr: Picture) -> dict[str, float]:
    """Returns `brightness`, `contrast`, `underexposed` and `overexposed` of a picture (h, w, 3)."""
    luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    low, high = np.percentile(luma, (10, 90))
    return {
        "brightness": round(float(luma.mean()) / 255, 3),
        "contrast": round(float(high - low) / 255, 3),
        "underexposed": round(float((luma <= _NEARLY_BLACK).mean()), 3),
        "overexposed": round(float((luma >= _NEARLY_WHITE).mean()), 3),
    }


def main_colours(image_bgr: Picture) -> tuple[ColourShare, ...]:
    """The colours most of a picture (h, w, 3) is made of, the largest first: k-means in L*a*b*."""
    small = at_most(image_bgr, _COLOURS_SIDE_PX)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB).reshape(-1, 3)
    clusters = min(_COLOURS, len(lab))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    cv2.setRNGSeed(1)
    _, labels, centres = cv2.kmeans(
        lab, clusters, np.empty((len(lab), 1), np.int32), stop, 2, cv2.KMEANS_PP_CENTERS
    )
    bgr = cv2.cvtColor(centres.reshape(1, -1, 3).astype(np.float32), cv2.COLOR_LAB2BGR)[0]
    shares = np.bincount(labels.ravel(), minlength=clusters) / len(lab)
    joined: dict[str, float] = {}
    for (blue, green, red), share in zip(np.clip(bgr * 255 + 0.5, 0, 255).astype(int), shares, strict=True):
        name = f"#{red:02x}{green:02x}{blue:02x}"
        joined[name] = joined.get(name, 0.0) + float(share)
    largest = sorted(joined.items(), key=lambda entry: -entry[1])
    return tuple(
        ColourShare(colour=name, share=round(min(share, 1.0), 3))
        for name, share in largest
        if share >= _MIN_SHARE
    )
