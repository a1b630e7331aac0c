"""The record of a reenactment's segment, whatever drew its frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avatar.encode.joints import Reel
from avatar.pipeline.assemble import _lost_in_video
from avatar.pipeline.context import Context
from avatar.pipeline.reenact.frames import FrameSource
from avatar.pipeline.reenact.job import ReenactJob, scene_of
from avatar.pipeline.reenact.video import write_segment
from avatar.spec import Canvas, RenderSpec
from avatar.tracks import MAX_RANGES

FRAMES = 2 * MAX_RANGES + 100


def test_a_face_that_comes_and_goes_each_frame_makes_a_bounded_result(tmp_path: Path) -> None:
    """All of it is one line, which whoever reads a worker's lines takes up to a limit."""
    scene = scene_of(ReenactJob(source=tmp_path / "face.mp4", driving=tmp_path / "drive.npz"), photo=False)
    canvas = Canvas(width=64, height=64, fps=25)
    picture = np.zeros((64, 64, 3), np.uint8)
    lost = list(range(0, FRAMES, 2))
    source = FrameSource(canvas, FRAMES, iter([picture] * FRAMES), lambda: lost)
    spec = RenderSpec(title="Flicker", canvas=canvas, scenes=(scene,))
    files = write_segment(spec, source, None, None, tmp_path / "made", Context(cache=tmp_path))
    record = files.record
    assert record.frames == FRAMES
    assert len(record.lost_face_frames) == MAX_RANGES
    assert record.lost_face_frames[0][0] == 0
    assert record.lost_face_frames[-1][1] == FRAMES - 2
    # So is that of a video of many such scenes.
    whole = _lost_in_video([files] * 3, [Reel(files.video, FRAMES)] * 3)
    assert len(whole) == MAX_RANGES
    assert (whole[0][0], whole[-1][1]) == (0, 3 * FRAMES - 2)
