"""Drawn pictures are checked again: a mouth that does not move with the speech is no finished video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.engines.base import Layer
from avatar.errors import InvalidInput
from avatar.pipeline.mouth_check import MouthCheck
from avatar.spec import Face, MediaRef, PhotoFace, RigFace, VideoFace
from avatar.tracks import CHANNELS, ControlTrack

pytest.importorskip("mediapipe", reason="needs the `face` extra: Python 3.11 or 3.12")

PHOTO = PhotoFace(image=MediaRef(path="ada.png", name="ada.png"))
VIDEO = VideoFace(video=MediaRef(path="ada.mp4", name="ada.mp4"))


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    from clipmaker.person import photo

    return np.ascontiguousarray(photo("grace_hopper"))


def opening(frames: int = 20, jaw: float = 1.0) -> ControlTrack:
    """Shut in the first half, open in the second."""
    curves = {name: np.zeros(frames, np.float32) for name in CHANNELS}
    curves["jaw"][frames // 2 :] = jaw
    return ControlTrack(fps=25, curves=curves)


def verdict(face: Face, pictures: list[np.ndarray], track: ControlTrack | None = None) -> str | None:
    check = MouthCheck(face, track or opening(len(pictures)))
    for index, picture in enumerate(pictures):
        check.see(index, Layer(picture), None)
    notice = check.verdict()
    return None if notice is None else notice.code


def test_a_photo_whose_mouth_never_moves_is_an_error(face: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match=r"ada\.png") as caught:
        verdict(PHOTO, [face] * 20)
    assert caught.value.code == "face.mouth_still" and "face_index" in caught.value.hint


def test_a_video_whose_mouth_never_moves_gives_a_notice(face: np.ndarray) -> None:
    assert verdict(VIDEO, [face] * 20) == "face.mouth_still"


def test_a_face_that_is_not_found_again_gives_a_notice() -> None:
    assert verdict(PHOTO, [np.full((300, 300, 3), 90, np.uint8)] * 20) == "face.mouth_unseen"


@pytest.mark.parametrize("jaw", [0.0, 0.05])
def test_a_scene_in_which_nobody_opens_the_mouth_proves_nothing(face: np.ndarray, jaw: float) -> None:
    assert verdict(PHOTO, [face] * 20, opening(jaw=jaw)) is None


def test_drawn_characters_are_not_looked_at(face: np.ndarray) -> None:
    assert verdict(RigFace(), [face] * 20) is None


def test_a_scene_of_one_frame_is_no_defect(face: np.ndarray) -> None:
    assert verdict(PHOTO, [face]) is None


def test_a_layer_over_a_base_is_seen_as_people_see_it(face: np.ndarray) -> None:
    check = MouthCheck(PHOTO, opening())
    for index in range(20):
        part = face[200:400, 150:350]
        see = np.dstack([part, np.full(part.shape[:2], 255, np.uint8)])
        check.see(index, Layer(see, 150, 200), face)
    with pytest.raises(InvalidInput):
        check.verdict()


def test_every_photo_of_a_render_is_looked_at(
    tmp_path: Path, small_spec, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avatar.engines.mesh.mouth import MouthModel
    from avatar.engines.mesh.mouth_fields import MouthPose
    from avatar.pipeline.context import Context
    from avatar.pipeline.segment import make_segment
    from avatar.spec import RenderSpec

    cv2.imwrite(str(tmp_path / "ada.png"), np.ascontiguousarray(np.rot90(face)))
    consent = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-01", "purpose": "tests"}
    photo = {"kind": "photo", "image": {"path": str(tmp_path / "ada.png")}, "consent": consent}
    spec = RenderSpec.model_validate(small_spec({"id": "a", "script": "Papa is far.", "face": photo}))
    segment = make_segment(spec, "a", tmp_path / "good", Context(cache=tmp_path / "cache"))
    assert "portrait.rotated" in {notice.code for notice in segment.record.warnings}
    assert not {"face.mouth_still", "face.mouth_unseen"} & {notice.code for notice in segment.record.warnings}

    shut = MouthPose.of(dict.fromkeys(CHANNELS, 0.0))
    draw = MouthModel.draw
    monkeypatch.setattr(MouthModel, "draw", lambda self, pose: draw(self, shut))
    with pytest.raises(InvalidInput) as caught:
        make_segment(spec, "a", tmp_path / "dead", Context(cache=tmp_path / "cache"))
    assert caught.value.code == "face.mouth_still"
    assert not (tmp_path / "dead").exists() or list((tmp_path / "dead").iterdir()) == []
