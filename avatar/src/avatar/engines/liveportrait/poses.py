"""From what a source and a driving face do to the poses that the animator draws, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from avatar.engines.liveportrait.drive import DriveStyle, move_source, smooth, target_motion
from avatar.engines.liveportrait.motion_values import Array, Motion, Pose
from avatar.engines.liveportrait.ratios import OPEN_LIPS

if TYPE_CHECKING:
    from avatar.engines.liveportrait.paste import Matrix


@dataclass(frozen=True, slots=True)
class Openings:
    """Openings of eyes (2,) and lips, height over width; see `ratios`."""

    eyes: Array
    lips: float


@dataclass(frozen=True, slots=True)
class SourceFace:
    """The face to be moved, in one picture. `matrix` leads from the picture to the crop of the full size."""

    motion: Motion
    openings: Openings
    matrix: Matrix

    @property
    def keypoints(self) -> Array:
        return self.motion.keypoints()


@dataclass(frozen=True, slots=True)
class DrivingFace:
    """The motion of a driving face in one frame. Without `openings` it cannot retarget eyes or lips."""

    motion: Motion
    openings: Openings | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """Options of how a face is driven.

    shut_lips: a source with open lips shuts them before it takes on the motion (relative only).
    eyes, lips: openings are copied from the driving face by the retargeting networks; as published, a
    relative drive then takes nothing else from it.
    """

    style: DriveStyle = field(default_factory=DriveStyle)
    shut_lips: bool = True
    eyes: bool = False
    lips: bool = False


def rest_motion(face: DrivingFace, rest: Array | None = None) -> Motion:
    """Returns the motion that a single driving picture is compared with: its own pose at rest.

    rest (21, 3): the expression of the same person at rest, when it is known; else that of the model's
    canonical face, which is zero.
    """
    expression = np.zeros_like(face.motion.exp) if rest is None else rest
    return replace(face.motion, exp=expression)


def still_poses(
    source: SourceFace, driving: Iterable[DrivingFace], manner: Manner, first: Motion | None = None
) -> Iterator[Pose]:
    """A photo driven by frames. Changes are counted from `first`, usually the first frame.

    The original's "expression-friendly" way of this is the same: what it multiplies by is 1 for a photo.
    """
    for face in driving:
        first = first or face.motion
        target = target_motion(source.motion, first, face.motion, manner.style)
        yield pose_of(
            source, move_source(source.motion, first, face.motion, target, manner.style), face, manner
        )


def video_poses(
    pairs: Iterable[tuple[SourceFace, DrivingFace]], manner: Manner, first: Motion | None = None
) -> Iterator[tuple[SourceFace, Pose]]:
    """A video driven by frames. Expression and turn are smoothed, which needs a few frames ahead. With
    `first` it is driven by one picture: there is nothing to smooth.
    """
    from_picture = first is not None

    def targets() -> Iterator[tuple[tuple[SourceFace, DrivingFace], Array]]:
        nonlocal first
        for source, face in pairs:
            first = first or face.motion
            exp, rotation = target_motion(source.motion, first, face.motion, manner.style)
            yield (source, face), np.concatenate([exp.ravel(), rotation.ravel()])

    for (source, face), values in targets() if from_picture else smooth(targets()):
        target = values[:-9].reshape(-1, 3), values[-9:].reshape(3, 3)
        begin = first or face.motion
        motion = move_source(source.motion, begin, face.motion, target, manner.style, filmed=True)
        yield source, pose_of(source, motion, face, manner)


def pose_of(source: SourceFace, motion: Motion, face: DrivingFace, manner: Manner) -> Pose:
    """The pose for a source that is to do `motion`."""
    here, there = source.openings, face.openings
    keypoints = source.keypoints
    if (manner.eyes or manner.lips) and there is not None:
        return Pose(
            source=keypoints,
            driven=keypoints if manner.style.relative else motion.keypoints(),
            eyes=np.array([*here.eyes, there.eyes[0]], np.float32) if manner.eyes else None,
            lips=np.array([here.lips, there.lips], np.float32) if manner.lips else None,
        )
    shut = manner.shut_lips and manner.style.relative and here.lips >= OPEN_LIPS
    return Pose(
        source=keypoints,
        driven=motion.keypoints(),
        shut_lips=np.array([here.lips, 0], np.float32) if shut else None,
    )
