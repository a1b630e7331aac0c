"""Finds all faces of a still, also small ones in a crowd and in one that lies on its side, and chooses one;
used when a portrait is prepared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avatar.errors import InvalidInput
from avatar.face.landmarks import FaceLandmarks, Picture
from avatar.face.tracker import FaceTracker
from avatar.face.turning import turn_of

_SEARCH_SIDE_PX = 1280
_TILE_SIDE_PX = 320
_TILINGS = (2, 4, 8)
LARGE_SHARE = 0.15
"""Of the picture's width. Such a face settles it: nobody means the passers-by far behind."""
_BESIDE_SHARE = 0.4
"""Of the width of such a face: who is seen as large as this stands beside, and may be meant."""
SURE_SCORE = 0.85
"""An upright face scores 0.9 and more, one on its side or head less than this (measured on photos turned)."""
UPRIGHT_ROLL_DEG = 50.0
_BETTER_SCORE = 0.05
_LOOKED_AT = 3


@dataclass(frozen=True, slots=True)
class UprightPicture:
    """picture: the given one after `turns` quarter turns clockwise. faces: from left to right."""

    picture: Picture
    turns: int
    faces: list[FaceLandmarks]


def rotate_picture(picture: Picture, turns: int) -> Picture:
    """The picture (h, w, …) after quarter turns clockwise."""
    return np.ascontiguousarray(np.rot90(picture, -turns)) if turns % 4 else picture


def find_upright_faces(image_bgr: Picture, tracker: FaceTracker) -> UprightPicture:
    """The picture turned so that its largest face stands upright: scans and old cameras mark nothing.

    The detector finds turned faces too, surely enough to be believed, with landmarks that fit no mouth.
    """
    upright = UprightPicture(image_bgr, 0, find_faces(image_bgr, tracker))
    for turns in (1, 3, 2):
        if upright.faces:
            break
        upright = _turned_search(image_bgr, turns, tracker)
    if not upright.faces or (not upright.turns and _upright_score(upright.faces) >= SURE_SCORE):
        return upright
    # Of each face alone, at one size: a whole picture, the other way round, shows other small faces. The face
    # that is surest at its best decides: what is no face is sure in no way.
    looks = [_around(upright.picture, face) for face in sorted(upright.faces, key=lambda face: -face.area_px)]
    scores = max(
        (
            [_upright_score(tracker.track(rotate_picture(look, turns))) for turns in range(4)]
            for look in looks[:_LOOKED_AT]
        ),
        key=max,
    )
    best = max(range(4), key=lambda turns: scores[turns])
    if scores[best] < scores[0] + _BETTER_SCORE:
        return upright
    other = _turned_search(image_bgr, (upright.turns + best) % 4, tracker)
    return other if other.faces else upright


def _turned_search(image_bgr: Picture, turns: int, tracker: FaceTracker) -> UprightPicture:
    picture = rotate_picture(image_bgr, turns)
    return UprightPicture(picture, turns, find_faces(picture, tracker))


def _around(image_bgr: Picture, face: FaceLandmarks) -> Picture:
    """A square around a face, 512 pixels wide."""
    left, top, right, bottom = face.box
    side = 1.1 * max(right - left, bottom - top)
    rows = slice(max(0, int((top + bottom) / 2 - side)), int((top + bottom) / 2 + side))
    columns = slice(max(0, int((left + right) / 2 - side)), int((left + right) / 2 + side))
    part = image_bgr[rows, columns]
    return _resized(part, 512 / max(part.shape[:2]))


def _upright_score(faces: list[FaceLandmarks]) -> float:
    """Returns how sure the largest face is one that stands upright, 0..1."""
    if not faces:
        return 0.0
    largest = max(faces, key=lambda face: face.area_px)
    return largest.score if abs(turn_of(largest.points).roll_deg) <= UPRIGHT_ROLL_DEG else 0.0


def find_faces(image_bgr: Picture, tracker: FaceTracker) -> list[FaceLandmarks]:
    """All faces of a picture (h, w, 3), ordered from left to right.

    First the whole picture, then overlapping tiles of it, enlarged: the detector overlooks faces
    narrower than a tenth of what it is shown.
    """
    height, width = image_bgr.shape[:2]
    scale = min(1.0, _SEARCH_SIDE_PX / max(height, width))
    small = image_bgr
    if scale < 1:
        small = _resized(image_bgr, scale)
    found = tracker.track(small)
    largest_px = max((_width(face) for face in found), default=0.0)
    settled = largest_px > LARGE_SHARE * small.shape[1]
    for tiles in _TILINGS[:1] if settled else _TILINGS:
        if tiles == _TILINGS[-1] and found:
            break  # only to tell people that their face is too small, instead of that there is none
        for face in _faces_in_tiles(small, tiles, tracker):
            passer_by = settled and _width(face) < _BESIDE_SHARE * largest_px
            if not passer_by and not any(_same_face(face, other) for other in found):
                found.append(face)
    return sorted((face.scale(1 / scale) for face in found), key=lambda face: face.box[0])


def choose_face(faces: list[FaceLandmarks], index: int | None) -> FaceLandmarks:
    """The face with this index counted from the left, or the largest.

    Raises InvalidInput: face.not_found, face.index_out_of_range.
    """
    if not faces:
        raise InvalidInput(
            "face.not_found",
            "No face was found in the picture.",
            "Use a well lit picture of one person who looks into the camera.",
        )
    if index is None:
        return max(faces, key=lambda face: face.area_px)
    if not 0 <= index < len(faces):
        raise InvalidInput(
            "face.index_out_of_range",
            f"Face {index} was asked for, but the picture shows {len(faces)}.",
            f"Count from the left, from 0 to {len(faces) - 1}, or leave the index out for the largest face.",
        )
    return faces[index]


def _faces_in_tiles(image: Picture, tiles: int, tracker: FaceTracker) -> list[FaceLandmarks]:
    height, width = image.shape[:2]
    # A picture may be smaller than the tiling is fine.
    tile_w, tile_h = (max(1, min(side, int(side / tiles * 1.5))) for side in (width, height))
    faces = []
    for row in range(tiles):
        for column in range(tiles):
            left = (width - tile_w) * column // (tiles - 1)
            top = (height - tile_h) * row // (tiles - 1)
            tile = image[top : top + tile_h, left : left + tile_w]
            scale = max(1.0, _TILE_SIDE_PX / max(tile_w, tile_h))
            for face in tracker.track(_resized(tile, scale)):
                faces.append(face.scale(1 / scale).shift(left, top))
    return faces


def _width(face: FaceLandmarks) -> float:
    return face.box[2] - face.box[0]


def _same_face(a: FaceLandmarks, b: FaceLandmarks) -> bool:
    ax, ay = a.points[:, 0].mean(), a.points[:, 1].mean()
    bx, by = b.points[:, 0].mean(), b.points[:, 1].mean()
    size = max(a.box[2] - a.box[0], b.box[2] - b.box[0])
    return bool(abs(ax - bx) < 0.5 * size and abs(ay - by) < 0.5 * size)


def _resized(image: Picture, scale: float) -> Picture:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized: Picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how).astype(
        "uint8", copy=False
    )
    return resized
