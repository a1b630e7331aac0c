"""Frames that a stopped run had drawn are used again, also by one that takes fewer at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.liveportrait.motion_values import Motion, Pose  # noqa: E402
from avatar.engines.liveportrait.poses import Openings, SourceFace  # noqa: E402
from avatar.engines.liveportrait.reenactment import Reenactment  # noqa: E402
from avatar.engines.resume_cache import ResumeCache  # noqa: E402

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator, Pixels

PICTURE = np.random.default_rng(5).integers(0, 255, (96, 128, 3), np.uint8)


@pytest.fixture
def frame_requests(animator: Animator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records how many frames the networks draw in each call."""
    draw, counts = animator.draw, list[int]()

    def count_frames(volume: Any, poses: Any) -> Any:
        counts.append(len(poses))
        return draw(volume, poses)

    monkeypatch.setattr(animator, "draw", count_frames)
    return counts


def frames(animator: Animator, batch: int, folder: Path | None, count: int, poses: int = 8) -> list[Pixels]:
    """The first `count` pictures of a photo that is moved, as a run makes them that is stopped then."""
    draw = np.random.default_rng(3).normal
    motion = Motion(
        kp=draw(0, 0.3, (21, 3)).astype(np.float32),
        exp=np.zeros((21, 3), np.float32),
        rotation=np.eye(3, dtype=np.float32),
        t=np.zeros(3, np.float32),
        scale=1.4,
    )
    source = SourceFace(motion, Openings(np.array([0.3, 0.34], np.float32), 0.05), 4 * np.eye(3)[:2])
    moved = [Pose(source=motion.kp, driven=motion.kp + np.float32(0.02 * n)) for n in range(poses)]
    running = Reenactment(animator, batch=batch, resume_cache=ResumeCache(folder)).photo(
        PICTURE, source, moved
    )
    return [next(running) for _ in range(count)]


def test_a_run_in_the_low_mode_finds_what_one_in_the_usual_mode_had_drawn(
    animator: Animator, frame_requests: list[int], tmp_path: Path
) -> None:
    undisturbed = frames(animator, 2, None, 8)
    frame_requests.clear()
    first = frames(animator, 4, tmp_path, 3)
    assert frame_requests == [4]
    again = frames(animator, 2, tmp_path, 8)
    assert frame_requests == [4, 2, 2], "the second half alone"
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=False))
    apart = [np.abs(one.astype(int) - other).max() for one, other in zip(again, undisturbed, strict=True)]
    assert max(apart) <= 1, "batches change the last bits alone"
    assert len({picture.tobytes() for picture in again}) == 8, "each frame is its own"


def test_of_a_batch_only_the_frames_that_are_missing_are_drawn(
    animator: Animator, frame_requests: list[int], tmp_path: Path
) -> None:
    whole = frames(animator, 4, tmp_path, 8)
    for part in sorted(tmp_path.iterdir())[:3]:
        part.unlink()
    frame_requests.clear()
    again = frames(animator, 8, tmp_path, 8)
    assert frame_requests == [3]
    assert all(np.abs(one.astype(int) - other).max() <= 1 for one, other in zip(whole, again, strict=True))
