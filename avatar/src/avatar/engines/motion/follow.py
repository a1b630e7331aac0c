"""Follows one person's face through footage and never jumps to a bystander; used by `track`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.engines.base import Pixels
from avatar.face.landmarks import FaceLandmarks, Points
from avatar.face.search import choose_face, find_faces
from avatar.face.tracker import FaceTracker

_CROP = 2.3
"""Side of the square that is searched round the last place of the face, in face heights."""
_REACH = 1.1
"""How far a face may move between two steps, in face heights."""
_SIZE_RATIO = 1.7
_CAREFUL_EVERY = 25


@dataclass(frozen=True, slots=True)
class Place:
    """Where the face was last seen, in pixels of the searched picture."""

    x: float
    y: float
    height: float

    @classmethod
    def of(cls, face: FaceLandmarks) -> Place:
        left, top, right, bottom = face.box
        return cls((left + right) / 2, (top + bottom) / 2, max(bottom - top, 1.0))

    def is_near(self, other: Place, reach: float) -> bool:
        distance = float(np.hypot(self.x - other.x, self.y - other.y))
        ratio = max(self.height, other.height) / min(self.height, other.height)
        return distance <= reach * self.height and ratio <= _SIZE_RATIO


class FaceFollower:
    """Takes pictures in order and gives the landmarks of one person, or None while they are not seen."""

    def __init__(self, tracker: FaceTracker, face_index: int | None, last: Place | None = None) -> None:
        self._tracker = tracker
        self._face_index = face_index
        self.last = last
        self._lost = 0
        self._company = False

    def next(self, picture: Pixels) -> Points | None:
        """picture: BGR uint8 (h, w, 3), always of one size. Landmarks float32 (478, 3) in its pixels."""
        face = self._near_last(picture) if self.last is not None else None
        if face is None:
            face = self._anywhere(picture)
        if face is None:
            self._lost += 1
            return None
        self.last, self._lost = Place.of(face), 0
        return face.points

    def _near_last(self, picture: Pixels) -> FaceLandmarks | None:
        """A face large enough for the mesh, however small it is in the whole picture."""
        last = self.last
        if last is None:
            return None
        height, width = picture.shape[:2]
        half = _CROP * last.height / 2
        left, top = max(0, round(last.x - half)), max(0, round(last.y - half))
        right, bottom = min(width, round(last.x + half)), min(height, round(last.y + half))
        if right - left < 16 or bottom - top < 16:
            return None
        found = self._tracker.track(np.ascontiguousarray(picture[top:bottom, left:right]))
        return self._nearest([face.shifted(left, top) for face in found], _REACH)

    def _anywhere(self, picture: Pixels) -> FaceLandmarks | None:
        if self.last is None:
            return self._first_sight(picture)
        found = self._tracker.track(picture)
        self._company = self._company or len(found) > 1
        if len(found) == 1 and not self._company:
            return found[0]
        # Away for a while: the person may come back elsewhere, but a bystander of another size is not them.
        return self._nearest(found, _REACH + 0.1 * self._lost)

    def _first_sight(self, picture: Pixels) -> FaceLandmarks | None:
        """The wanted face when there is one; the slow search for small faces is not tried on every frame."""
        careful = self._lost % _CAREFUL_EVERY == 0
        found = find_faces(picture, self._tracker) if careful else self._tracker.track(picture)
        self._company = len(found) > 1
        if len(found) <= (self._face_index or 0):
            return None
        return choose_face(sorted(found, key=lambda face: face.box[0]), self._face_index)

    def _nearest(self, found: list[FaceLandmarks], reach: float) -> FaceLandmarks | None:
        last = self.last
        if last is None:
            return None
        near = [face for face in found if last.is_near(Place.of(face), reach)]
        return min(
            near,
            key=lambda face: np.hypot(Place.of(face).x - last.x, Place.of(face).y - last.y),
            default=None,
        )
