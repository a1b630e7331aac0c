"""Overlays find their word as it is spoken, or say which words come close."""

import pytest
from avatar.compose.anchors import anchor_ms
from avatar.errors import InvalidInput
from avatar.spec import TimeAnchor, WordAnchor
from avatar.tracks import Word

WORDS = [
    Word("Hello,", 300, 600),
    Word("“New", 700, 900),
    Word("York”", 950, 1300),
    Word("and", 1350, 1500),
    Word("hello", 1600, 1900),
    Word("Zürich!", 2000, 2500),
]


@pytest.mark.parametrize(
    ("anchor", "ms"),
    [
        (TimeAnchor(ms=42), 42),
        (WordAnchor(word="hello"), 300),
        (WordAnchor(word="HELLO", occurrence=2), 1600),
        (WordAnchor(word="hello", edge="end"), 600),
        (WordAnchor(word="zürich", edge="end", offset_ms=-100), 2400),
        (WordAnchor(word="New York"), 700),
        (WordAnchor(word="new york", edge="end"), 1300),
        (WordAnchor(word="hello", offset_ms=-5000), 0),
    ],
)
def test_an_anchor_gives_its_moment(anchor, ms):
    assert anchor_ms(anchor, WORDS, "intro") == ms


def test_an_unknown_word_is_an_error_that_names_close_ones():
    with pytest.raises(InvalidInput) as caught:
        anchor_ms(WordAnchor(word="hallo"), WORDS, "intro")
    assert caught.value.code == "overlay.word_not_found"
    assert "hallo" in caught.value.message
    assert "intro" in caught.value.message
    assert "hello" in caught.value.hint.lower()


def test_an_occurrence_too_many_says_how_often_the_word_is_said():
    with pytest.raises(InvalidInput, match="said 2 times") as caught:
        anchor_ms(WordAnchor(word="hello", occurrence=3), WORDS, "intro")
    assert caught.value.code == "overlay.word_not_found"


def test_a_word_of_marks_only_is_not_found_rather_than_everywhere():
    with pytest.raises(InvalidInput):
        anchor_ms(WordAnchor(word="…"), WORDS, "intro")
