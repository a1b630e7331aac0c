"""Tests lists of labelled fields: what counts as one, and where each value ends."""

from __future__ import annotations

import pytest

from agent.understanding.labels import fields
from agent.understanding.reader import Reader
from agent.understanding.slots import Focus
from bench.nlu_evaluation.cases import NOW, read_world


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Presenter: Nova\nText: Q4 is ours. Go!\nFormat: vertical", ["Nova", "Q4 is ours. Go!", "vertical"]),
        ("• Title: Hinges • Speaker: Milo", ["Hinges", "Milo"]),
        ("Topic: tides. Scenes: 4. On camera: Milo. Square, for a wall.", ["tides", "4", "Milo"]),
        ("Thema: Ebbe; Szenen: 3", ["Ebbe", "3"]),
        ("Milo: No football.", []),
        ("New project. Name: Cancel everything.", []),
        ("the format: it depends", []),
        ("", []),
    ],
)
def test_several_labels_are_a_list_and_one_is_none(text: str, expected: list[str]) -> None:
    assert [text[one.start : one.end].strip() for one in fields(text)] == expected


def test_a_list_fills_the_arguments_that_its_labels_name(reader: Reader) -> None:
    world = read_world(frozenset(reader.common_words))
    text = "New clip.\nPresenter: Vera\nText: Doors open at nine. Bring a friend.\nFormat: vertical, 1080p"
    best = reader.read(text, world, Focus(), NOW)[0]
    assert best.intent == "make_render"
    assert best.arguments["script"] == "Doors open at nine. Bring a friend."
    assert (best.arguments["shape"], best.arguments["quality"]) == ("vertical", "1080p")
    assert not best.unread and not best.loose
