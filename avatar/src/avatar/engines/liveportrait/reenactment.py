"""Frames of a photo or a video whose face moves as told, in batches and with flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import cv2
import numpy as np

from avatar.engines.liveportrait.animator import Animator, Pixels
from avatar.engines.liveportrait.motion_values import Motion, Pose
from avatar.engines.liveportrait.paste import Matrix, Paste, cut, shrunk, soft_mask
from avatar.engines.liveportrait.poses import DrivingFace, Manner, Openings, SourceFace, video_poses
from avatar.engines.liveportrait.ratios import eye_openings, lip_opening
from avatar.engines.resume_cache import NO_CACHE, Content, ResumeCache, digest
from avatar.face.anchors import liveportrait_crop
from avatar.face.landmarks import Points

HELD_FRAMES, FADED_FRAMES = 6, 12
"""A lost face stays where it was for the first, and has faded to the source after the second."""
FADE_IN_FRAMES = 4
"""So long a face that comes in, or back, takes to be the moved one: nothing jumps."""
T = TypeVar("T")


def openings_of(points: Points) -> Openings:
    """Returns how far eyes and lips of landmarks (478, 3) are open."""
    return Openings(eye_openings(points), lip_opening(points))


class Reenactment:
    """Draws moved faces into frames. `batch`: how many frames the networks see at once. `resume_cache`: what
    a stopped run had drawn of the same.
    """

    def __init__(self, animator: Animator, *, batch: int, resume_cache: ResumeCache = NO_CACHE) -> None:
        self._animator, self._batch, self._resume_cache = animator, batch, resume_cache
        self._crop_px = animator.networks.sizes.output_px
        self._mask = soft_mask(self._crop_px)
        self.lost: list[int] = []
        """Numbers of the source's frames in which no face was seen."""

    def face_of(self, picture: Pixels, points: Points) -> SourceFace:
        """The face of landmarks (478, 3) in a picture (h, w, 3), as the networks see it."""
        matrix = liveportrait_crop(points).matrix(self._crop_px)
        motion = self._animator.motions([self._small(picture, matrix)])[0]
        return SourceFace(motion, openings_of(points), matrix)

    def photo(self, picture: Pixels, source: SourceFace, poses: Iterable[Pose]) -> Iterator[Pixels]:
        """`picture` (h, w, 3 BGR) once for each pose, with the face moved; every frame is a new array."""
        small = self._small(picture, source.matrix)
        volume = self._animator.volume([small])
        paste = Paste.of(source.matrix, self._mask, (picture.shape[1], picture.shape[0]))
        for chunk in chunks(poses, self._batch):
            for crop in self._drawn([small], lambda _: volume, chunk):
                frame = picture.copy()
                if paste is not None:
                    paste.onto(frame, crop)
                yield frame

    def video(
        self,
        frames: Iterable[tuple[Pixels, Points | None]],
        driving: Iterable[DrivingFace],
        manner: Manner,
        first: Motion | None = None,
    ) -> Iterator[Pixels]:
        """Frames (h, w, 3 BGR) with their faces moved, a few frames late; None: no face was seen. `first`:
        see `video_poses`.

        A lost face is drawn where it was for some frames, then the source shows through.
        """
        waiting: deque[_Shown] = deque()
        steps = video_poses(self._pairs(frames, driving, waiting), manner, first)
        for chunk in chunks(steps, self._batch):
            shown = [waiting.popleft() for _ in chunk]
            crops = [
                self._small(one.picture, source.matrix) for one, (source, _) in zip(shown, chunk, strict=True)
            ]
            poses = [pose for _, pose in chunk]
            drawn = self._drawn(crops, self._animator.volume, poses)
            for one, (source, _), crop in zip(shown, chunk, drawn, strict=True):
                size = (one.picture.shape[1], one.picture.shape[0])
                paste = Paste.of(source.matrix, self._mask, size)
                if paste is not None and one.strength > 0:
                    paste.onto(one.picture, crop, one.strength)
                yield one.picture

    def _drawn(
        self, crops: Sequence[Pixels], volume: Callable[[Sequence[Pixels]], Any], poses: list[Pose]
    ) -> Iterator[Pixels]:
        """As the animator draws them, unless an earlier run has. `crops`: what `volume` is made of, one for
        all poses or one for each.

        Each frame is kept by itself: a run with other batches, as one in the low mode, finds it too.
        """
        if not self._resume_cache.enabled:
            return iter(self._animator.draw(volume(crops), poses))
        each = list(crops) * len(poses) if len(crops) == 1 else list(crops)
        names = [
            digest(self._animator.identity, crop, *_arrays(pose))
            for crop, pose in zip(each, poses, strict=True)
        ]
        found = [self._resume_cache.get(name) for name in names]
        missing = [index for index, part in enumerate(found) if part is None]
        drawn: Iterator[Pixels] = iter(())
        if missing:
            some = crops if len(crops) == 1 else [crops[index] for index in missing]
            frames = self._animator.draw(volume(some), [poses[index] for index in missing])
            for index, picture in zip(missing, frames, strict=True):
                self._resume_cache.put(names[index], _packed(picture))
            drawn = iter(frames)
        return iter([next(drawn) if part is None else _unpacked(part) for part in found])

    def _pairs(
        self,
        frames: Iterable[tuple[Pixels, Points | None]],
        driving: Iterable[DrivingFace],
        waiting: deque[_Shown],
    ) -> Iterator[tuple[SourceFace, DrivingFace]]:
        last: tuple[Matrix, Openings] | None = None
        missed, number = 0, 0
        strength: float | None = None
        for chunk in chunks(zip(frames, driving, strict=False), self._batch):
            seen: list[tuple[_Shown, Matrix, Openings, DrivingFace]] = []
            for (picture, points), face in chunk:
                missed = 0 if points is not None else missed + 1
                if points is not None:
                    last = liveportrait_crop(points).matrix(self._crop_px), openings_of(points)
                else:
                    self.lost.append(number)
                number += 1
                target = 1.0 if last else 0.0
                if missed > HELD_FRAMES:
                    target *= max(0.0, 1 - (missed - HELD_FRAMES) / (FADED_FRAMES - HELD_FRAMES))
                strength = target if strength is None else min(target, strength + 1 / FADE_IN_FRAMES)
                matrix, openings = last or (_whole(picture, self._crop_px), _SHUT)
                seen.append((_Shown(picture.copy(), strength), matrix, openings, face))
            motions = self._animator.motions(
                [self._small(shown.picture, matrix) for shown, matrix, _, _ in seen]
            )
            for (shown, matrix, openings, face), motion in zip(seen, motions, strict=True):
                waiting.append(shown)
                yield SourceFace(motion, openings, matrix), face

    def _small(self, picture: Pixels, matrix: Matrix) -> Pixels:
        return shrunk(cut(picture, matrix, self._crop_px), self._animator.side_px)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame on its way, and how much of the moved face is to be seen in it."""

    picture: Pixels
    strength: float


def _packed(picture: Pixels) -> bytes:
    _, png = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return png.tobytes()


def _unpacked(part: bytes) -> Pixels:
    """The same picture to the bit."""
    return np.asarray(cv2.imdecode(np.frombuffer(part, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _arrays(pose: Pose) -> tuple[Content, ...]:
    return pose.source, pose.driven, pose.eyes, pose.lips, pose.shut_lips


_SHUT = Openings(np.zeros(2, np.float32), 0.0)


def _whole(picture: Pixels, side_px: int) -> Matrix:
    """The crop that holds the whole picture: for frames before any face, which are not drawn."""
    scale = side_px / max(picture.shape[:2])
    return np.array([[scale, 0, 0], [0, scale, 0]], np.float64)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`size` items at a time; the last may be fewer."""
    steady = iter(items)
    while chunk := list(islice(steady, size)):
        yield chunk
