"""Captions that no font can draw: refused where they alone were asked for, else the soft ones stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from avatar.compose.fonts import Fonts
from avatar.compose.text import letters_of
from avatar.errors import Unavailable
from avatar.pipeline.scene_renderer import _captions
from avatar.spec import Notice, RenderSpec
from avatar.tracks import SpeechTrack, Word

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
needs_dejavu = pytest.mark.skipif(not DEJAVU.is_dir(), reason="needs Debian's package fonts-dejavu-core")
SCENE = {"id": "a", "script": "x"}


def draw_captions(text: str, mode: str) -> tuple[bool, list[Notice]]:
    spec = RenderSpec.model_validate({"scenes": [SCENE], "output": {"captions": {"mode": mode}}})
    speech = SpeechTrack(Path("a.wav"), 16_000, 2000, (Word(text, 0, 1500),), ())
    notices: list[Notice] = []
    captions = _captions(spec, spec.scenes[0], speech, Fonts((DEJAVU,)), notices.append, [])
    return captions is not None, notices


@needs_dejavu
def test_letters_without_a_font_leave_the_soft_captions() -> None:
    drawn, (notices,) = draw_captions("你好", "both")
    assert not drawn and notices.code == "captions.no_font"
    assert "你 好" in notices.message and "fonts-noto-cjk" in notices.message and notices.scene == "a"


@needs_dejavu
def test_burned_captions_alone_are_refused() -> None:
    with pytest.raises(Unavailable) as caught:
        draw_captions("こんにちは", "burned")
    assert caught.value.code == "captions.no_font" and "fonts-noto-cjk" in caught.value.hint


@needs_dejavu
@pytest.mark.parametrize("mode", ["burned", "both"])
def test_an_emoji_without_a_font_is_left_out_with_a_warning(mode: str) -> None:
    drawn, (notices,) = draw_captions("hello 🫠", mode)
    assert drawn and notices.code == "text.glyph_missing" and "fonts-noto-color-emoji" in notices.message


@needs_dejavu
def test_what_can_be_drawn_is_burned_without_a_word() -> None:
    assert draw_captions("Grüße, мир", "both") == (True, [])


def test_letters_are_told_from_symbols() -> None:
    assert letters_of(["你", "🫠", "é"]) == ["你", "é"]
