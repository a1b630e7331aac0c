"""The driving of a photo is a choice of the spec, and part of its scene's hash."""

from __future__ import annotations

from typing import Any

import pytest
from avatar.pipeline.scene_media import media_of
from avatar.spec import PhotoFace, RenderSpec


def spec(**choice: Any) -> RenderSpec:
    face = {"kind": "photo", "image": {"path": "a.png"}, **choice}
    return RenderSpec.model_validate({"scenes": [{"id": "one", "script": "Hello.", "face": face}]})


def test_a_spec_from_before_has_nothing_that_drives() -> None:
    stored = spec().model_dump(mode="json")
    del stored["scenes"][0]["face"]["driving"]
    face = RenderSpec.model_validate(stored).scenes[0].face
    assert isinstance(face, PhotoFace) and face.driving is None


def test_scenes_that_differ_in_their_driving_alone_are_kept_apart() -> None:
    hashes = {
        spec().scene_hash("one"),
        spec(driving={"sha256": "sha256:" + "0" * 64}).scene_hash("one"),
        spec(driving={"sha256": "sha256:" + "1" * 64}).scene_hash("one"),
    }
    assert len(hashes) == 3


def test_the_driving_is_a_file_of_the_scene_for_provenance_and_against_being_written_over() -> None:
    driven = spec(driving={"path": "nod.mp4"})
    assert [(role, ref.path) for role, ref in media_of(driven.scenes[0])] == [
        ("face", "a.png"),
        ("driving", "nod.mp4"),
    ]
    hidden = driven.scenes[0].model_copy(
        update={"layout": driven.scenes[0].layout.model_copy(update={"visible": False})}
    )
    assert list(media_of(hidden)) == []


def test_a_video_that_speaks_moves_by_itself() -> None:
    with pytest.raises(ValueError, match="driving"):
        spec(kind="video", video={"path": "a.mp4"}, driving={"path": "nod.mp4"})
