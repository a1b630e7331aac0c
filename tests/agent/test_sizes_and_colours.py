"""Words for sizes and colours become pixels and hexadecimal values that a video can have."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from avatar.spec import ColourBackground

from agent.colours import COLOURS, parse_colour
from agent.tools.sizes import Quality, Shape, canvas_for
from agent.understanding import Grammar, Understanding

QUALITIES, SHAPES = get_args(Quality), get_args(Shape)


@pytest.mark.parametrize("quality, shape", list(product(QUALITIES, SHAPES)))
def test_every_size_is_a_valid_canvas_with_the_named_short_side(quality: Quality, shape: Shape) -> None:
    canvas = canvas_for(quality, shape)
    assert min(canvas.width, canvas.height) == int(quality[:-1])
    ratio = canvas.width / canvas.height
    assert abs(ratio - {"landscape": 16 / 9, "square": 1.0, "vertical": 9 / 16}[shape]) < 0.005


@pytest.mark.parametrize("word", [*QUALITIES, *SHAPES, "4k", "full hd", "portrait", "widescreen"])
def test_the_grammar_knows_every_size_that_the_tool_knows(grammar: Grammar, word: str) -> None:
    found = grammar.understand(f"Make a {word} video where Nova says: x")
    assert isinstance(found, Understanding)
    assert found.arguments.get("quality") in QUALITIES or found.arguments.get("shape") in SHAPES


@pytest.mark.parametrize("name", COLOURS)
def test_every_colour_word_is_a_background(name: str) -> None:
    assert ColourBackground(colour=parse_colour(name.title())).colour == COLOURS[name]


@pytest.mark.parametrize(
    "text, value",
    [
        ("#1B2733", "#1b2733"),
        ("1b2733", "#1b2733"),
        ("#abc", "#aabbcc"),
        ("sky-blue", "#87ceeb"),
        ("SkyBlue", "#87ceeb"),
        ("dark gray", "#a9a9a9"),
    ],
)
def test_other_spellings_of_a_colour_are_understood(text: str, value: str) -> None:
    assert parse_colour(text) == value


def test_an_unknown_colour_names_the_nearest_ones() -> None:
    with pytest.raises(ValueError, match="navy"):
        parse_colour("navvy")


@pytest.mark.parametrize("text", ["", "#12345", "blue; DROP", "#gggggg", "x" * 10_000])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a colour"):
        parse_colour(text)
