"""Names of what exists, in sentences: whole, misspelt, in parts."""

from __future__ import annotations

import pytest

from agent.understanding.tokens import tokenize
from agent.understanding.world import Thing, World

WORLD = World(
    (
        Thing("persona", "Nova"),
        Thing("persona", "Vera"),
        Thing("project", "Harbour tour"),
        Thing("project", "Spring open day"),
        Thing("render", "Spring open day"),
        Thing("render", "Budget review", "render_01KB7", "failed"),
        Thing("machine", "atlas"),
        Thing("machine", "gpu-03"),
        Thing("scene", "Fish market", parent="Harbour tour", number=3),
    ),
    frozenset({"very", "tour", "over", "budgets", "at", "last"}),
)


def _named(sentence: str) -> list[tuple[str, str, str]]:
    tokens = tokenize(sentence)
    return [
        (one.thing.kind, one.thing.name, " ".join(token.text for token in tokens[one.start : one.end]))
        for one in WORLD.mentions(tokens)
    ]


@pytest.mark.parametrize(
    ("sentence", "kind", "name", "words"),
    [
        ("film the harbour tour", "project", "Harbour tour", "harbour tour"),
        ("film the HarbourTour", "project", "Harbour tour", "HarbourTour"),
        ("film the harbor tuor", "project", "Harbour tour", "harbor tuor"),
        ("let Vera's voice speak", "persona", "Vera", "Vera's"),
        ("let nvoa speak", "persona", "Nova", "nvoa"),
        ("why did the budget one fail", "render", "Budget review", "budget"),
        ("show render_01KB7", "render", "Budget review", "render_01KB7"),
        ("is gpu-03 up", "machine", "gpu-03", "gpu-03"),
        ("the fish-market scene", "scene", "Fish market", "fish-market"),
    ],
)
def test_a_name_is_found(sentence: str, kind: str, name: str, words: str) -> None:
    assert (kind, name, words) in _named(sentence)


@pytest.mark.parametrize("sentence", ["a very long text", "over and out", "is gpu-04 up", "at last", ""])
def test_frequent_words_and_other_numbers_are_no_names(sentence: str) -> None:
    assert _named(sentence) == []


def test_one_name_of_two_things_names_both() -> None:
    assert {kind for kind, _, _ in _named("delete Spring open day")} == {"project", "render"}


def test_an_exact_name_is_surer_than_a_misspelt_one() -> None:
    exact, misspelt = (WORLD.mentions(tokenize(text))[0] for text in ("use atlas", "use altas"))
    assert exact.sureness == 1.0 > misspelt.sureness


def test_a_number_tells_long_names_apart() -> None:
    large = World(
        tuple(Thing("render", f"Weekly message number {number} of the school") for number in range(1000))
    )
    found = large.mentions(tokenize("show the weekly mesage number 417 of the school please"))
    assert [one.thing.name for one in found] == ["Weekly message number 417 of the school"]


def test_a_compound_with_a_kind_names_the_thing_and_another_number_does_not() -> None:
    world = World((Thing("machine", "atlas"), Thing("scene", "Arrival")), frozenset({"szene", "rechner"}))
    for text, names in (
        ("die Arrival-Szene", ["Arrival"]),
        ("den atlas-Rechner", ["atlas"]),
        ("drain atlas-2", []),
        ("die Arrival-Gate", []),
    ):
        assert [one.thing.name for one in world.mentions(tokenize(text))] == names


def test_the_word_for_a_kind_of_thing_names_none_that_has_it_in_its_name() -> None:
    world = World((Thing("render", "Welcome clip"), Thing("machine", "render node")))
    assert world.mentions(tokenize("please get rid of that clip and look at the node")) == []
    assert [one.thing.name for one in world.mentions(tokenize("show the welcome clip"))] == ["Welcome clip"]
