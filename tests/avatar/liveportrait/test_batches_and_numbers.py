"""Batches of any size and short numbers draw the same frames, of a photo and of a video, on the processor and
on a card.

Bounds are levels of 255. In float32 a batch changes the order of sums alone: a level may tip over where it
was nearly half. Short numbers round what every layer gives, fp16 to 11 bits and bf16 to 8, and random
networks make more of that than trained ones; a card gets twice as much, for it rounds in split sums, too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from avatar.engines.liveportrait.motion_values import Pose
from avatar.engines.liveportrait.poses import DrivingFace, Manner, still_poses
from avatar.face.tracker import open_tracker

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator
    from avatar.face.landmarks import Points

torch: Any = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

FRAMES, BATCHES = 9, (1, 4, 8)
"""So many that the last batch is a short one."""
TIPPED_OVER = 2e-3
"""Of the levels, on average, in float32."""
SHORT = {"float16": 0.02, "bfloat16": 0.05}
"""Of a colour's whole range, on average, on a processor."""
CARDS_SHARE = 2
Frames = np.ndarray[Any, Any]


def on(animator: Animator, device: str, dtype: str = "float32") -> Animator:
    """The same networks there, in these numbers."""
    from avatar.engines.liveportrait.animator import Animator

    torch.set_num_threads(1)  # networks this small keep no second one busy
    return Animator(copy.deepcopy(animator.networks), torch.device(device), getattr(torch, dtype))


@contextmanager
def whole_float32() -> Iterator[None]:
    """Without TF32, to whose ten bits cuDNN rounds what goes into a convolution."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def person(portrait: Path) -> tuple[Frames, Points]:
    """A picture, and where its face is."""
    picture = np.asarray(cv2.imread(str(portrait)), np.uint8)
    tracker = open_tracker()
    try:
        return picture, tracker.track(picture)[0].points
    finally:
        tracker.close()


def moves(animator: Animator, picture: Frames) -> list[DrivingFace]:
    """A mouth that opens and a head that shifts, from what the networks see in the picture."""
    seen = animator.motions([cv2.resize(picture, (animator.side_px, animator.side_px))])[0]
    return [
        DrivingFace(replace(seen, exp=seen.exp + 0.02 * index, t=seen.t + 0.01 * index))
        for index in range(FRAMES)
    ]


def draw_frames(animator: Animator, person: tuple[Frames, Points], source: str, batch: int) -> Frames:
    from avatar.engines.liveportrait.reenactment import Reenactment

    picture, points = person
    drawing = Reenactment(animator, batch=batch)
    driving = moves(animator, picture)
    if source == "photo":
        face = drawing.face_of(picture, points)
        results = drawing.photo(picture, face, still_poses(face, driving, Manner()))
    else:
        results = drawing.video(((picture.copy(), points) for _ in range(FRAMES)), driving, Manner())
    return np.stack(list(results)).astype(int)


def apart(one: Frames, other: Frames, what: str) -> tuple[int, float]:
    """The most and the mean of the levels between two results; `pytest -rA` shows them."""
    between = np.abs(one - other)
    most, mean = int(between.max()), float(between.mean())
    print(f"{what}: {most} levels apart at most, {mean:.5f} on average")
    return most, mean


@pytest.mark.parametrize("source", ["photo", "video"])
def test_batches_of_any_size_draw_the_same_frames(
    animator: Animator, device: str, person: tuple[Frames, Points], source: str
) -> None:
    with whole_float32():
        there = on(animator, device)
        results = {batch: draw_frames(there, person, source, batch) for batch in BATCHES}
        assert len(results[1]) == FRAMES
        assert np.abs(results[1][0] - results[1][-1]).max() > 8, "the face moves"
        for batch in BATCHES[1:]:
            most, mean = apart(results[batch], results[1], f"{source}, batches of {batch} and 1 on {device}")
            assert most <= 1 and mean < TIPPED_OVER
        processors = results[8] if device == "cpu" else draw_frames(on(animator, "cpu"), person, source, 8)
        most, mean = apart(results[8], processors, f"{source} on {device} and on the processor")
    assert most <= 1 and mean < TIPPED_OVER


@pytest.mark.parametrize("source", ["photo", "video"])
def test_frames_that_are_drawn_again_are_the_same_to_the_bit(
    animator: Animator, device: str, person: tuple[Frames, Points], source: str
) -> None:
    """In the numbers that a run on this device has by itself."""
    there = on(animator, device, "float16" if device == "cuda" else "float32")
    first, again = (draw_frames(there, person, source, 8) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_numbers_draw_nearly_the_same_picture(animator: Animator, device: str, dtype: str) -> None:
    if dtype == "bfloat16" and device == "cuda" and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this card has no bf16: one of compute capability 8.0, then `make test-gpu`")
    draw = np.random.default_rng(2).normal
    keypoints = draw(0, 0.3, (21, 3)).astype(np.float32)
    poses = [Pose(keypoints, keypoints + draw(0, 0.03, (21, 3)).astype(np.float32)) for _ in range(2)]
    picture = np.random.default_rng(1).integers(0, 255, (animator.side_px, animator.side_px, 3), np.uint8)
    with whole_float32():
        exact = on(animator, device)
        reference, whole = exact.motions([picture])[0], exact.tensor_of(exact.volume([picture]), poses)
    half = on(animator, device, dtype)
    ours = half.tensor_of(half.volume([picture]), poses).float()
    share = CARDS_SHARE if device == "cuda" else 1
    mean = float((ours - whole.float()).abs().mean())
    moved = float(np.abs(half.motions([picture])[0].keypoints() - reference.keypoints()).max())
    print(f"{dtype} and float32 on {device}: {mean:.5f} of the range on average, keypoints {moved:.5f}")
    assert ours.isfinite().all()
    assert 0 < mean < share * SHORT[dtype]
    assert moved < share * 0.05
