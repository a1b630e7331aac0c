"""Finds all faces of a still, also small ones in a crowd, and chooses one; used when a portrait is
prepared.
"""

from __future__ import annotations

import cv2

from avatar.errors import InvalidInput
from avatar.face.landmarks import FaceLandmarks, Picture
from avatar.face.tracker import FaceTracker

_SEARCH_SIDE_PX = 1280
_TILE_SIDE_PX = 320
_TILINGS = (2, 4, 8)
LARGE_SHARE = 0.15
"""Of the picture's width. Such a face settles it: nobody means the passers-by far behind."""


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
    if not any(face.box[2] - face.box[0] > LARGE_SHARE * small.shape[1] for face in found):
        for tiles in _TILINGS:
            if tiles == _TILINGS[-1] and found:
                break  # only to tell people that their face is too small, instead of that there is none
            for face in _faces_in_tiles(small, tiles, tracker):
                if not any(_same_face(face, other) for other in found):
                    found.append(face)
    return sorted((face.scaled(1 / scale) for face in found), key=lambda face: face.box[0])


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
                faces.append(face.scaled(1 / scale).shifted(left, top))
    return faces


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
