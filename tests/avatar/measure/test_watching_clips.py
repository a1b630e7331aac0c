"""The tracker of the measuring library against clips whose pose and mouth are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.judge.video_measures import frames_of, watch
from backgrounds import background_ssim, ssim_in_mask
from clipmaker import Motion, make_clip
from clipmaker.scene import room


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def test_the_opening_of_a_mouth_is_read_from_the_picture(folder: Path) -> None:
    clip = make_clip(folder / "front.mp4", seconds=1.6, motion=Motion(mouth_e=0.2, yaw_deg=3, roll_deg=3))
    seen = watch(clip.path)
    assert seen.frames == len(clip.mouth_e)
    assert np.corrcoef(seen.aperture, clip.mouth_e)[0, 1] > 0.97
    assert np.polyfit(clip.mouth_e, seen.aperture, 1)[0] == pytest.approx(1.1, abs=0.2)


def test_a_turned_head_is_read_with_its_side(folder: Path) -> None:
    clip = make_clip(folder / "turning.mp4", seconds=1.2, motion=Motion(yaw_deg=40))
    seen = watch(clip.path)
    assert seen.seen.all()
    assert np.corrcoef(seen.yaw_deg, clip.yaw_deg)[0, 1] > 0.98


def test_frames_without_a_person_are_not_seen(folder: Path) -> None:
    clip = make_clip(folder / "leaving.mp4", seconds=1.2, absent_s=(0.4, 0.8))
    seen = watch(clip.path)
    first, last = clip.absent[0]
    assert not seen.seen[first : last + 1].any()
    assert seen.seen[: first - 1].all()
    assert seen.seen[last + 2 :].all()


def test_a_still_background_passes_and_a_bent_one_does_not(folder: Path) -> None:
    clip = make_clip(folder / "still.mp4", seconds=0.6, motion=Motion(mouth_e=0.2))
    frames = list(frames_of(clip.path))
    assert background_ssim(frames, reference=room((854, 480))) > 0.97
    assert background_ssim(frames) > 0.99
    xs, ys = np.meshgrid(np.arange(854, dtype=np.float32), np.arange(480, dtype=np.float32))
    bent = [cv2.remap(f, xs + i * np.sin(ys / 40), ys, cv2.INTER_LINEAR) for i, f in enumerate(frames)]
    assert background_ssim(bent) < 0.95


def test_ssim_of_equal_pictures_is_one_and_needs_a_mask() -> None:
    picture = room((320, 180))
    assert ssim_in_mask(picture, picture, np.ones((180, 320), bool)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="empty"):
        ssim_in_mask(picture, picture, np.zeros((180, 320), bool))


def test_nothing_to_look_at_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no_frames"):
        watch(iter(()))
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(InvalidInput, match="unreadable"):
        list(frames_of(tmp_path / "text.mp4"))
