"""Captions that no font can draw: refused where they alone were asked for, else the soft ones stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from avatar.compose.fonts import Fonts
from avatar.compose.text import letters_of
from avatar.errors import Unavailable
from avatar.pipeline.shot import _captions
from avatar.spec import Notice, RenderSpec
from avatar.tracks import SpeechTrack, Word

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
needs_dejavu = pytest.mark.skipif(not DEJAVU.is_dir(), reason="needs Debian's package fonts-dejavu-core")
SCENE = {"id": "a", "script": "x"}


def burned(text: str, mode: str) -> tuple[bool, list[Notice]]:
    spec = RenderSpec.model_validate({"scenes": [SCENE], "output": {"captions": {"mode": mode}}})
    speech = SpeechTrack(Path("a.wav"), 16_000, 2000, (Word(text, 0, 1500),), ())
    told: list[Notice] = []
    captions = _captions(spec, spec.scenes[0], speech, Fonts((DEJAVU,)), told.append)
    return captions is not None, told


@needs_dejavu
def test_letters_without_a_font_leave_the_soft_captions() -> None:
    drawn, (told,) = burned("你好", "both")
    assert not drawn and told.code == "captions.no_font"
    assert "你 好" in told.message and "fonts-noto-cjk" in told.message and told.scene == "a"


@needs_dejavu
def test_burned_captions_alone_are_refused() -> None:
    with pytest.raises(Unavailable) as caught:
        burned("こんにちは", "burned")
    assert caught.value.code == "captions.no_font" and "fonts-noto-cjk" in caught.value.hint


@needs_dejavu
@pytest.mark.parametrize("mode", ["burned", "both"])
def test_an_emoji_without_a_font_is_left_out_with_a_warning(mode: str) -> None:
    drawn, (told,) = burned("hello 🫠", mode)
    assert drawn and told.code == "text.glyph_missing" and "fonts-noto-color-emoji" in told.message


@needs_dejavu
def test_what_can_be_drawn_is_burned_without_a_word() -> None:
    assert burned("Grüße, мир", "both") == (True, [])


def test_letters_are_told_from_symbols() -> None:
    assert letters_of(["你", "🫠", "é"]) == ["你", "é"]
