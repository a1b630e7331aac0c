"""A head that turns, nods or tilts, filmed: how much of the drawn mouth LatentSync shows on it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from avatar.engines.base import EngineReport
from avatar.engines.latentsync.face_placement import (
    TURN_AWAY_FRAMES,
    FacePlacement,
    PlacementTracker,
    TrackingReport,
)

pytest.importorskip("mediapipe", reason="needs the extra `face`: Python 3.11 or 3.12, then `make test`")

from avatar.face.follow import NARROW_SHARE, FaceFollower
from avatar.face.tracker import open_tracker
from avatar.judge.video_measures import frames_of
from clipmaker import Clip, Motion, make_clip

SECONDS, FPS = 2.4, 25


def clip_of(folder: Path, motion: Motion) -> Clip:
    return make_clip(folder / "turning.mp4", "astronaut", seconds=SECONDS, fps=FPS, motion=motion)


def placements_of(clip: Clip) -> list[FacePlacement]:
    follower = PlacementTracker(256)
    with closing(open_tracker(max_faces=1)) as tracker:
        speaker = FaceFollower(tracker, None, close_below=NARROW_SHARE)
        return [follower.update(speaker.next(picture)) for picture in frames_of(clip.path)]


def test_on_a_profile_the_drawn_mouth_fades_out_and_the_frames_are_listed(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, Motion(yaw_deg=60))
    seen = placements_of(clip)
    strength, turn = np.array([one.strength for one in seen]), np.abs(clip.yaw_deg)
    for swing in (np.arange(len(turn)) < 30, np.arange(len(turn)) > 30):
        assert strength[swing].min() < 0.1
        assert strength[swing & (turn > 57)].max() < 0.5
        assert strength[swing & (turn < 20)].max() > 0.9
    turns = int(np.flatnonzero(turn > 30)[0])
    assert strength[:turns].min() > 0.99
    assert np.abs(np.diff(strength)).max() <= 1 / TURN_AWAY_FRAMES + 1e-6, "nothing jumps"
    report, followed = EngineReport(), TrackingReport.for_frames(len(seen))
    for index, one in enumerate(seen):
        followed.record(index, one)
    followed.tell("turning.mp4", report)
    (turned,) = [notice for notice in report.notices if notice.code == "face.turned"]
    listed = {index for begin, end in turned.details["frames"] for index in range(begin, end + 1)}
    assert listed and not listed & set(range(turns))
    lost = {index for begin, end in report.lost_face_frames for index in range(begin, end + 1)}
    assert set(np.flatnonzero(turn > 57)) <= listed | lost


@pytest.mark.parametrize("motion", [Motion(yaw_deg=18, pitch_deg=14), Motion(roll_deg=40)])
def test_a_head_that_leans_or_nods_as_people_do_keeps_its_drawn_mouth(motion: Motion, tmp_path: Path) -> None:
    """A tilt is taken out by the crop, which leans with the face."""
    seen = placements_of(clip_of(tmp_path, motion))
    assert min(one.strength for one in seen) > 0.99
    assert all(one.found for one in seen)
    angles = [float(np.degrees(np.arctan2(one.matrix[1, 0], one.matrix[0, 0]))) for one in seen]  # type: ignore[index]
    assert np.ptp(angles) > 1.6 * motion.roll_deg
