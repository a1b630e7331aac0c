"""Measures how far MediaPipe and InsightFace differ: LatentSync's anchors and LivePortrait's crop.

    AVATAR_INSIGHTFACE=non-commercial scripts/bench landmarks PICTURE…

On an operator's own pictures, with the operator's own copy of InsightFace (docs/guide/weights.md), whose
models may be used for non-commercial research only. Without it all it says is "not measured". `--models`
names the folder of the weights.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from avatar.engines.latentsync.align import TEMPLATE, crop_size, ratio, similarity
from avatar.errors import AvatarError, InvalidInput
from avatar.face.anchors import latentsync_anchors, liveportrait_crop
from avatar.face.insightface_adapter import CONSENT_VARIABLE, insightface_is_configured
from avatar.face.landmarks import FaceLandmarks, Picture
from avatar.face.pictures import read_picture
from avatar.face.portrait import flatten
from avatar.face.search import choose_face
from avatar.face.tracker import FaceTracker, open_aligning_tracker, open_tracker

SIDE_PX = 512
MAX_PX = 1920


@dataclass(frozen=True, slots=True)
class Difference:
    """Of InsightFace's face from MediaPipe's. brows, nose: how far the anchors lie apart, of the distance of
    the outer eye corners. corners_px: how far LatentSync's crop of 420 x 560 pixels moves at its corners, the
    most. side, centre: of LivePortrait's square, of its side. turn_deg: of that square.
    """

    brows: float
    nose: float
    corners_px: float
    side: float
    centre: float
    turn_deg: float

    @classmethod
    def of(cls, ours: FaceLandmarks, theirs: FaceLandmarks) -> Difference:
        """`ours` is MediaPipe's. Both in pixels of one picture."""
        here, there = latentsync_anchors(ours.points), latentsync_anchors(theirs.points)
        apart = np.linalg.norm(there - here, axis=1) / ours.eye_distance_px
        template = TEMPLATE * ratio(SIDE_PX)
        width, height = crop_size(SIDE_PX)
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
        mine, other = (np.vstack([similarity(three, template)[0], [0, 0, 1]]) for three in (here, there))
        moved = corners @ (other @ np.linalg.inv(mine)).T - corners
        square, their_square = liveportrait_crop(ours.points), liveportrait_crop(theirs.points)
        centre = np.subtract(their_square.centre, square.centre)
        turn = np.degrees(their_square.angle - square.angle)
        return cls(
            brows=float(apart[:2].max()),
            nose=float(apart[2]),
            corners_px=float(np.linalg.norm(moved[:, :2], axis=1).max()),
            side=their_square.side / square.side - 1,
            centre=float(np.linalg.norm(centre)) / square.side,
            turn_deg=float((turn + 180) % 360 - 180),
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--models", type=Path, metavar="DIR")
    options = parser.parse_args(argv)
    if not insightface_is_configured():
        print("not measured: InsightFace is off. Its models are for non-commercial research only.")
        print(f"{CONSENT_VARIABLE}=non-commercial switches it on.")
        return 0
    try:
        with (
            closing(open_aligning_tracker(options.models, os.environ)) as theirs,
            closing(open_tracker()) as ours,
        ):
            return _measured(options.pictures, ours, theirs)
    except AvatarError as error:
        print(f"not measured: {error}")
        return 1


def _measured(pictures: Sequence[Path], ours: FaceTracker, theirs: FaceTracker) -> int:
    found: list[Difference] = []
    print("brows   nose    crop's corners   square's side   centre   turn     picture")
    for path in pictures:
        picture = flatten(read_picture(path, max_side_px=MAX_PX))
        pair = _same_face(picture, ours, theirs)
        if pair is None:
            print(f"no face that both found: {path.name}")
            continue
        found.append(Difference.of(*pair))
        print(_line(found[-1], path.name))
    if not found:
        print("not measured: no picture shows a face that both found")
        return 1
    columns = Difference.__dataclass_fields__
    middle = {name: statistics.median(abs(getattr(one, name)) for one in found) for name in columns}
    most = {name: max(abs(getattr(one, name)) for one in found) for name in columns}
    print(_line(Difference(**middle), f"median of {len(found)}, without signs"))
    print(_line(Difference(**most), "most"))
    return 0


def _same_face(
    picture: Picture, ours: FaceTracker, theirs: FaceTracker
) -> tuple[FaceLandmarks, FaceLandmarks] | None:
    """MediaPipe's largest face, and that of InsightFace in the same place."""
    try:
        here = choose_face(ours.track(picture), None)
    except InvalidInput:
        return None
    middle = here.points[:, :2].mean(axis=0)
    near = [one for one in theirs.track(picture) if _away(one, middle) < here.eye_distance_px]
    return (here, min(near, key=lambda one: _away(one, middle))) if near else None


def _away(face: FaceLandmarks, middle: np.ndarray) -> float:
    return float(np.linalg.norm(face.points[:, :2].mean(axis=0) - middle))


def _line(one: Difference, name: str) -> str:
    return (
        f"{one.brows:5.1%}  {one.nose:5.1%}   {one.corners_px:8.1f} px     {one.side:+8.1%}       "
        f"{one.centre:5.1%}   {one.turn_deg:+5.1f}°   {name}"
    )


if __name__ == "__main__":
    sys.exit(main())
