"""Whole runs in which our LivePortrait and the original are compared: what goes in, and our results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.drive import DriveStyle, Region
from avatar.engines.liveportrait.paste import Matrix, Paste, cut, shrunk, soft_mask
from avatar.engines.liveportrait.poses import (
    DrivingFace,
    Manner,
    Openings,
    SourceFace,
    rest_motion,
    still_poses,
    video_poses,
)
from avatar.engines.liveportrait.ratios import eye_openings, lip_opening
from avatar.face.anchors import liveportrait_crop
from avatar.face.landmarks import Points
from avatar.face.layouts import MESH
from liveportrait_cases import SMALL, frame
from seeded import Array, noise

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 208, 160
CROP_PX = SMALL.output_px
REST = 0.02 * noise("expression at rest", (21, 3))
SIDE_PX = SMALL.picture_px


@dataclass(frozen=True)
class Whole:
    """A run of `frames` pictures. `flags` are the original's own option names."""

    frames: int = 3
    filmed: bool = False
    manner: Manner = field(default_factory=lambda: Manner(shut_lips=False))
    strength: float = 1.0
    flags: dict[str, object] = field(default_factory=dict)
    pictured: bool = False
    """Driven by one picture, whose expression at rest is `REST`."""


CASES = {
    "still": Whole(),
    "still_shut_lips": Whole(manner=Manner(), flags={"flag_normalize_lip": True}),
    "still_retargeted": Whole(
        manner=Manner(shut_lips=False, eyes=True, lips=True),
        flags={"flag_eye_retargeting": True, "flag_lip_retargeting": True},
    ),
    "still_absolute": Whole(
        manner=Manner(DriveStyle(relative=False), shut_lips=False),
        strength=0.7,
        flags={"flag_relative_motion": False},
    ),
    "video": Whole(frames=12, filmed=True),
    "video_absolute": Whole(
        frames=9,
        filmed=True,
        manner=Manner(DriveStyle(relative=False), shut_lips=False),
        flags={"flag_relative_motion": False},
    ),
}

CASES |= {
    "still_friendly": Whole(flags={"driving_option": "expression-friendly"}),
    "video_pictured": Whole(filmed=True, pictured=True),
    "video_pictured_absolute": Whole(
        filmed=True,
        pictured=True,
        manner=Manner(DriveStyle(relative=False), shut_lips=False),
        flags={"flag_relative_motion": False},
    ),
}
CASES |= {
    f"still_{region}": Whole(
        manner=Manner(DriveStyle(region), shut_lips=False), flags={"animation_region": region}
    )
    for region in get_args(Region)[1:]
}


def source_frame(index: int) -> Pixels:
    """RGB (160, 208, 3)."""
    return frame(f"source {index}", WIDTH)[:HEIGHT]


def driving_frame(index: int) -> Pixels:
    """RGB (64, 64, 3), as the networks take it."""
    return frame(f"driving {index}", SIDE_PX)


def landmarks(name: str, index: int) -> Points:
    """A face-like set of 478 points in the source picture: an ellipse, eyes and a half-open mouth."""
    generator = noise(f"{name} {index}", (478, 3))
    points = np.zeros((478, 3), np.float32)
    count = len(MESH.box)
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points[list(MESH.box), 0] = 100 + 22 * np.cos(angle)
    points[list(MESH.box), 1] = 80 + 28 * np.sin(angle)
    placed = {
        33: (86, 70), 133: (95, 70), 159: (90, 68), 145: (90, 72), 362: (105, 71), 263: (114, 71),
        386: (109, 68), 374: (109, 73), 61: (92, 95), 291: (108, 96), 13: (100, 94), 14: (100, 98),
    }  # fmt: skip
    for point, (x, y) in placed.items():
        points[point, :2] = x, y
    points[:, :2] += 0.3 * generator[:, :2] + 2 * noise(f"{name} shift {index}", (2,))
    return points


def as_published(points: Points) -> Array:
    """The same face in the 203 points that the original measures by: the ones it names, and the outline."""
    published = points[np.resize(MESH.box, 203), :2].copy()
    named = {
        0: 33, 12: 133, 6: 159, 18: 145, 24: 362, 36: 263, 30: 386, 42: 374, 48: 61, 66: 291, 90: 13, 102: 14,
    }  # fmt: skip
    rest = [index for index in range(203) if index not in named]
    published[rest] = points[np.resize(MESH.box, len(rest)), :2]
    for theirs, ours in named.items():
        published[theirs] = points[ours, :2]
    return published


def openings(points: Points) -> Openings:
    return Openings(eye_openings(points), lip_opening(points))


@dataclass
class Result:
    """keypoints (frames, 2, 21, 3): source, driven; made (frames, 3, h, w) RGB 0..1; laid: RGB frames of
    `rendered` cut to levels, before they are cut themselves.

    matrices, backs (sources, 2, 3): from source to crop, and from crop to source.
    """

    matrices: Array
    backs: Array
    keypoints: Array
    rendered: Array
    laid: Array


def crop_matrices(case: Whole) -> Array:
    """Ours, (sources, 2, 3)."""
    count = case.frames if case.filmed else 1
    frames = [liveportrait_crop(landmarks("source", index)) for index in range(count)]
    return np.stack([frame.matrix(CROP_PX) for frame in frames]).astype(np.float32)


def ours(case: Whole, animator: Animator, matrices: Array, backs: Array) -> Result:
    """The run by our engine, through the same doors that the pipeline uses.

    The original's matrices are used, which differ from ours in the last bits of a float32: enough to change
    single levels of a few pixels of the crop, and random networks make 0.1 % of that. What our own give is
    compared in `liveportrait_steps`.
    """
    driving = [
        DrivingFace(
            animator.motions([driving_frame(index)[..., ::-1]])[0],
            openings(landmarks("driving", index)),
        )
        for index in ([0] * case.frames if case.pictured else range(case.frames))
    ]
    first = rest_motion(driving[0], REST) if case.pictured else None
    if case.filmed:
        steps = video_poses(zip(_sources(matrices, animator), driving, strict=True), case.manner, first)
    else:
        source = next(_sources(matrices, animator))
        steps = ((source, pose) for pose in still_poses(source, driving, case.manner))
    keypoints, rendered, laid = [], [], []
    for index, (source, pose) in enumerate(steps):
        number = index if case.filmed else 0
        picture = source_frame(number)
        volume = animator.volume([shrunk(cut(picture[..., ::-1].copy(), source.matrix, CROP_PX), SIDE_PX)])
        placed = animator.place([pose])
        keypoints.append(np.concatenate([side.numpy() for side in placed]))
        rendered.append(animator.tensor_of(volume, [pose]).numpy()[0])
        laid.append(paste_onto(picture, as_cut(rendered[-1]), place_back(backs[number])))
    return Result(matrices, backs, np.stack(keypoints), np.stack(rendered), np.stack(laid))


def as_cut(rendered: Array) -> Pixels:
    """A drawn face (3, h, w) in 0..1 in levels (h, w, 3), its fractions cut off as the original does it."""
    return np.ascontiguousarray((rendered.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8))


def place_back(back: Array) -> Matrix:
    """The place whose way back is the given (2, 3): the original reckons it in float32, of float32."""
    return np.asarray(cv2.invertAffineTransform(back.astype(np.float64)), np.float64)


def paste_onto(frame: Pixels, crop: Pixels, place: Matrix) -> Array:
    """A face laid into a frame, before it is rounded to levels."""
    whole = frame.astype(np.float32)
    paste = Paste.of(place, soft_mask(len(crop)), (frame.shape[1], frame.shape[0]))
    if paste is not None:
        paste.onto(whole, crop)
    return whole


def _sources(matrices: Array, animator: Animator) -> Iterator[SourceFace]:
    for index, matrix in enumerate(matrices.astype(np.float64)):
        points = landmarks("source", index)
        crop = shrunk(cut(source_frame(index)[..., ::-1].copy(), matrix, CROP_PX), SIDE_PX)
        yield SourceFace(animator.motions([crop])[0], openings(points), matrix)
