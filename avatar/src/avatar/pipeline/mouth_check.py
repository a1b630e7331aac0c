"""Looks at drawn frames again: whether the mouth moved with what was said; pipeline.frames asks at the end.

A picture that the tracker misread when it was prepared is drawn with a smear for a mouth, and nothing in the
drawing itself knows. What is looked at is the engine's own picture, without overlays and captions.
"""

from __future__ import annotations

import threading
from contextlib import closing

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.colour import Pixels
from avatar.engines.base import Layer
from avatar.errors import InvalidInput, Unavailable
from avatar.face.scaling import at_most
from avatar.spec import Face, MediaRef, Notice, PhotoFace, RigFace, VideoFace
from avatar.tracks import ControlTrack

LOOKS = 4
"""Frames with the most open lips, and as many with the most closed ones."""
MIN_OPENING_E = 0.06
"""What hardly opens by intention proves nothing; in E, the distance of the outer eye corners."""
MIN_GAIN = 0.25
"""Of the intended opening. Engines are held to 0.75 by their tests; tracking adds its own error."""
_SIDE_PX = 960
Signal = npt.NDArray[np.float32]
Landmarks = npt.NDArray[np.float32]
# Pairs of Face Mesh points: upper and lower inner lip.
_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))


class MouthCheck:
    """`see` is called for every drawn frame, from several threads; `verdict` once, when all are drawn."""

    def __init__(self, face: Face, track: ControlTrack) -> None:
        opening = track.aperture_e()
        order = np.argsort(opening, kind="stable")
        looks = min(LOOKS, track.frames // 2)
        self._is_photo = isinstance(face, PhotoFace)
        # Characters are drawn by numbers that no picture can spoil.
        self._name = "" if isinstance(face, RigFace) else _media(face).name or "the speaker"
        self._closed, self._open = order[:looks].tolist(), order[len(order) - looks :].tolist()
        self._intended = float(
            np.median(opening[self._open]) - np.median(opening[self._closed]) if looks else 0.0
        )
        judged = self._name and self._intended >= MIN_OPENING_E
        self._sampled = frozenset((*self._closed, *self._open) if judged else ())
        self._pictures: dict[int, Pixels] = {}
        self._lock = threading.Lock()

    def see(self, index: int, layer: Layer | None, base: Pixels | None) -> None:
        if layer is None or index not in self._sampled:
            return
        picture = _flat(layer, base)
        with self._lock:
            self._pictures[index] = picture

    def verdict(self) -> Notice | None:
        """None where the mouth moved, or where nothing can tell. Raises InvalidInput `face.mouth_still` for a
        photo; of a video, where heads turn away, it is a notice.
        """
        if not self._pictures:
            return None
        try:
            gaps = self._gaps()
        except Unavailable:  # a prepared portrait is drawn without a tracker
            return None
        open_e = [gaps[index] for index in self._open if index in gaps]
        closed_e = [gaps[index] for index in self._closed if index in gaps]
        if not open_e or not closed_e:
            message = f"No face is found in the drawn pictures of {self._name}: look at the video."
            return Notice(code="face.mouth_unseen", message=message)
        if np.median(open_e) - np.median(closed_e) >= MIN_GAIN * self._intended:
            return None
        message = f"The mouth of {self._name} does not move with the speech in what was drawn."
        if not self._is_photo:
            return Notice(code="face.mouth_still", message=message)
        raise InvalidInput(
            "face.mouth_still",
            message,
            "Use a well lit, upright portrait with closed lips and nothing before the mouth; where several"
            " faces are seen, face_index names another one.",
        )

    def _gaps(self) -> dict[int, float]:
        """The gap of the inner lips in E of each picture that shows a face."""
        from avatar.face.tracker import open_tracker

        gaps = {}
        with closing(open_tracker(max_faces=4)) as tracker:
            for index, picture in self._pictures.items():
                if faces := tracker.track(picture):
                    gaps[index] = float(lip_gap(faces[0].points[np.newaxis])[0])
        return gaps


def _media(face: PhotoFace | VideoFace) -> MediaRef:
    return face.image if isinstance(face, PhotoFace) else face.video


def _flat(layer: Layer, base: Pixels | None) -> Pixels:
    """The layer over the engine's base, uint8 BGR, in a size that a tracker likes."""
    pixels = layer.pixels
    if base is not None:
        whole = base[..., :3].copy()
        height, width = pixels.shape[:2]
        part = whole[layer.y : layer.y + height, layer.x : layer.x + width]
        part[:] = _over(pixels, part)
    else:
        whole = _over(pixels, np.full((*pixels.shape[:2], 3), 127, np.uint8))
    return np.array(at_most(whole, _SIDE_PX))  # the engine draws its next face over this one


def _over(pixels: Pixels, below: Pixels) -> Pixels:
    if pixels.shape[2] == 3:
        return pixels
    weight = np.ascontiguousarray(pixels[..., 3], np.uint8).astype(np.float32) / 255
    front = np.ascontiguousarray(pixels[..., :3])
    return np.asarray(cv2.blendLinear(front, np.ascontiguousarray(below), weight, 1 - weight), np.uint8)


def lip_gap(points: Landmarks) -> Signal:
    """Returns the gap of the inner lips in E, float32 (frames,), of landmarks (frames, 478, 3)."""
    gap = np.mean([distance(points, a, b, planar=True) for a, b in _LIP_PAIRS], axis=0)
    return np.asarray(gap / eye_distance(points), np.float32)


def eye_distance(points: Landmarks) -> Signal:
    """Returns E in pixels, (frames,): along a turned face z counts, so yaw does not shorten it."""
    return np.maximum(distance(points, 33, 263), 1e-6)


def distance(points: Landmarks, a: int, b: int, *, planar: bool = False) -> Signal:
    axes = 2 if planar else 3
    return np.asarray(np.linalg.norm(points[:, a, :axes] - points[:, b, :axes], axis=1), dtype=np.float32)
