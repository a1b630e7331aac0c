"""The mouth in long pauses is a choice of the spec, and part of its scene's hash."""

from __future__ import annotations

from typing import Any

import pytest
from avatar.spec import PhotoFace, RenderSpec, VideoFace

MEDIA = {"photo": {"image": {"path": "a.png"}}, "video": {"video": {"path": "a.mp4"}}}


def spec(kind: str, **choice: str) -> RenderSpec:
    face: dict[str, Any] = {"kind": kind, **MEDIA[kind], **choice}
    return RenderSpec.model_validate({"scenes": [{"id": "one", "script": "Hello.", "face": face}]})


@pytest.mark.parametrize("kind", ["photo", "video"])
def test_who_says_nothing_about_pauses_sees_the_filmed_mouth_also_in_a_spec_from_before(kind: str) -> None:
    stored = spec(kind).model_dump(mode="json")
    del stored["scenes"][0]["face"]["pauses"]
    face = RenderSpec.model_validate(stored).scenes[0].face
    assert isinstance(face, PhotoFace | VideoFace) and face.pauses == "filmed"


@pytest.mark.parametrize("kind", ["photo", "video"])
def test_scenes_that_differ_in_their_pauses_alone_are_kept_apart(kind: str) -> None:
    filmed, drawn = spec(kind, pauses="filmed"), spec(kind, pauses="drawn")
    assert filmed.scene_hash("one") == spec(kind).scene_hash("one") != drawn.scene_hash("one")
    assert filmed.content_hash() != drawn.content_hash()


def test_another_word_for_pauses_is_refused() -> None:
    with pytest.raises(ValueError, match="pauses"):
        spec("video", pauses="shut")
