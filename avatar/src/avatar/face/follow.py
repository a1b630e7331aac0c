"""Follows one person's face through footage, however small, and never jumps to a bystander. All engines that
take motion video choose and follow by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from avatar.face.landmarks import FaceLandmarks, Picture
from avatar.face.search import LARGE_SHARE, choose_face, find_faces
from avatar.face.tracker import FaceTracker

NARROW_SHARE = 0.25
"""Faces narrower than this share of the picture are looked at closely by engines that else look at all of it:
trackers miss those below a tenth."""
ALWAYS_CLOSE, NEVER_CLOSE = math.inf, 0.0
_CROP = 2.3
"""Side of the square that is searched round the last place of the face, in face heights."""
_REACH = 1.1
"""How far a face may move between two steps, in face heights."""
_STRANGER_REACH = 0.6
_REACH_GROWTH = 0.1
_SIZE_RATIO = 1.7
_CAREFUL_EVERY = 25
_MAX_OTHERS = 8
_HIDDEN_FRAMES = 5
"""Whoever is lost for less than that is where they were: all of the picture is not searched closely yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of the face when it was last found, in pixels of the searched picture."""

    x: float
    y: float
    height: float

    @classmethod
    def of(cls, face: FaceLandmarks) -> Place:
        left, top, right, bottom = face.box
        return cls((left + right) / 2, (top + bottom) / 2, max(bottom - top, 1.0))

    def distance(self, other: Place) -> float:
        return math.hypot(self.x - other.x, self.y - other.y)

    def is_near(self, other: Place, reach: float) -> bool:
        ratio = max(self.height, other.height) / min(self.height, other.height)
        return self.distance(other) <= reach * self.height and ratio <= _SIZE_RATIO


class FaceFollower:
    """Takes pictures in order and gives the face of one person, or None while they are not seen.

    Whoever was alone all along is known again wherever they come back. Of several people the one who is near
    the last place is taken, and the longer that takes the farther away, but nobody who was there beside them.
    """

    def __init__(
        self,
        tracker: FaceTracker,
        face_index: int | None,
        last: Place | None = None,
        *,
        close_below: float = ALWAYS_CLOSE,
        least_eye_px: float = 0.0,
    ) -> None:
        """`face_index`: from the left, in the first picture with so many faces; None is the largest.
        `close_below`: faces narrower than this share of the picture are looked at closely. `least_eye_px`:
        faces whose eyes are nearer to each other do not count.
        """
        self._tracker = tracker
        self._face_index = face_index
        self._close_below, self._least_eye_px = close_below, least_eye_px
        self.last = last
        self._share = 0.0
        self._lost = self._followed = 0
        self._company = False
        self._others: list[Place] = []

    def next(self, picture: Picture) -> FaceLandmarks | None:
        """picture: BGR uint8 (h, w, 3), always of one size. The face is in its pixels."""
        face = self._find_first(picture) if self.last is None else self._again(picture, self.last)
        if face is None:
            self._lost += 1
            return None
        self.last, self._lost = Place.of(face), 0
        self._share = _share(face, picture)
        self._followed += 1
        return face

    def _find_first(self, picture: Picture) -> FaceLandmarks | None:
        """The wanted face when there is one; the slow search for small faces is not tried on every frame."""
        found = self._all(picture, closely=self._lost % _CAREFUL_EVERY == 0)
        if len(found) <= (self._face_index or 0):
            return None
        face = choose_face(sorted(found, key=lambda face: face.box[0]), self._face_index)
        self._remember(picture, found, face)
        return face

    def _again(self, picture: Picture, last: Place) -> FaceLandmarks | None:
        narrow = self._is_narrow()
        face = self._close_by(picture, last, _REACH) if narrow else None
        if face is not None:
            if self._followed % _CAREFUL_EVERY == 0:
                self._remember(picture, self._all(picture), face)  # a close look shows nobody else
            return face
        closely = narrow and self._lost % _CAREFUL_EVERY == _HIDDEN_FRAMES
        found = self._all(picture, closely=closely)
        if len(found) == 1 and not self._company:
            return found[0]
        # Away for a while: the person may come back elsewhere, but a bystander of another size is not them.
        free = [face for face in found if not self._is_stranger(Place.of(face), last)]
        face = _nearest(free, last, _REACH + _REACH_GROWTH * self._lost)
        self._remember(picture, found, face)
        return face

    def _close_by(self, picture: Picture, last: Place, reach: float) -> FaceLandmarks | None:
        """A face large enough for the mesh, however small it is in the whole picture."""
        height, width = picture.shape[:2]
        half = _CROP * last.height / 2
        left, top = max(0, round(last.x - half)), max(0, round(last.y - half))
        right, bottom = min(width, round(last.x + half)), min(height, round(last.y + half))
        if right - left < 16 or bottom - top < 16:
            return None
        found = self._tracker.track(np.ascontiguousarray(picture[top:bottom, left:right]))
        return _nearest(self._counting(face.shift(left, top) for face in found), last, reach)

    def _all(self, picture: Picture, *, closely: bool = False) -> list[FaceLandmarks]:
        """Everybody the whole picture shows. `closely`: in its parts too, unless there is a large face."""
        found = self._tracker.track(picture)
        if closely and self._close_below and all(_share(face, picture) <= LARGE_SHARE for face in found):
            found = find_faces(picture, self._tracker)
        counting = self._counting(found)
        self._company = self._company or len(counting) > 1
        return counting

    def _counting(self, found: Iterable[FaceLandmarks]) -> list[FaceLandmarks]:
        return [face for face in found if face.eye_distance_px >= self._least_eye_px]

    def _is_stranger(self, place: Place, last: Place) -> bool:
        """Returns whether somebody else was there, nearer than the person."""
        own = last.distance(place)
        return any(
            other.is_near(place, _STRANGER_REACH) and other.distance(place) < own for other in self._others
        )

    def _remember(self, picture: Picture, found: list[FaceLandmarks], person: FaceLandmarks | None) -> None:
        """Returns the other faces. While the person is away no new face counts: it may be the person."""
        known = [self._moved(other, picture, found) for other in self._others]
        if person is None:
            self._others = [place or other for place, other in zip(known, self._others, strict=True)]
            return
        here = Place.of(person)
        others: list[Place] = []
        places = [Place.of(face) for face in found] + [place for place in known if place is not None]
        for place in places:
            if all(place.distance(other) > place.height / 2 for other in (here, *others)):
                others.append(place)
        self._others = others[:_MAX_OTHERS]

    def _moved(self, other: Place, picture: Picture, found: list[FaceLandmarks]) -> Place | None:
        """Returns where that bystander is now; a look at the whole picture does not show the small ones."""
        face = _nearest(found, other, _STRANGER_REACH)
        if face is None and self._is_narrow():
            face = self._close_by(picture, other, _STRANGER_REACH)
        return None if face is None else Place.of(face)

    def _is_narrow(self) -> bool:
        return self._share < self._close_below


def _nearest(found: list[FaceLandmarks], last: Place, reach: float) -> FaceLandmarks | None:
    near = [face for face in found if last.is_near(Place.of(face), reach)]
    return min(near, key=lambda face: last.distance(Place.of(face)), default=None)


def _share(face: FaceLandmarks, picture: Picture) -> float:
    left, _, right, _ = face.box
    return (right - left) / picture.shape[1]
