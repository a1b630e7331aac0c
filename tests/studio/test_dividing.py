"""A text is divided into scenes at headings, paragraphs and sentences, and not a word of it is lost."""

from __future__ import annotations

import random

import pytest

from soundstage.errors import Invalid
from studio.scenes.dividing import scenes_of, sentences
from studio.scenes.speaking_time import speaking_ms

TIDES = """The tide comes in twice a day. It follows the moon. Dr. Smith knows e.g. the Bay of Fundy.

At spring tide sun and moon pull together! The water is 3.5 m higher.

Now you know. Go and see it."""


def words(text: str) -> list[str]:
    return text.split()


def scripts(text: str, count: int | None = None) -> list[str]:
    return [scene.script for scene in scenes_of(text, count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_there_are_as_many_scenes_as_are_wanted_and_all_words_in_their_order(count: int) -> None:
    found = scripts(TIDES, count)
    assert len(found) == count
    assert words(" ".join(found)) == words(TIDES)


def test_a_text_with_fewer_sentences_than_scenes_gives_as_many_as_it_has() -> None:
    assert scripts("One. Two.", 5) == ["One.", "Two."]


def test_paragraphs_are_scenes_when_there_are_as_many() -> None:
    assert scripts(TIDES, 3)[1] == "At spring tide sun and moon pull together! The water is 3.5 m higher."
    assert scripts(TIDES) == scripts(TIDES, 3)


def test_scenes_are_about_equally_long_to_say() -> None:
    text = " ".join(f"This is sentence number {number} of a long text about the sea." for number in range(40))
    lengths = [speaking_ms(script) for script in scripts(text, 4)]
    assert max(lengths) < 1.2 * min(lengths)


def test_a_long_sentence_stays_whole() -> None:
    long = "word " * 500 + "end."
    assert scripts(f"One. {long} Two.", 3) == ["One.", long, "Two."]


def test_headings_divide_and_are_titles_and_are_not_spoken() -> None:
    text = "# The moon\nIt pulls. It turns.\n\nIt shines.\n\n## The sun\nIt pulls too."
    found = scenes_of(text)
    assert [(scene.title, scene.script) for scene in found] == [
        ("The moon", "It pulls. It turns.\n\nIt shines."),
        ("The sun", "It pulls too."),
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Scene 1: One.\nScene 2: Two.", [("One", "One."), ("Two", "Two.")]),
        ("Scene 1\nOne.\n\nScene 2: The sun\n\nTwo. Too.", [("One", "One."), ("The sun", "Two. Too.")]),
        ("**Scene one: Start**\nOne.\n**Scene two**\nTwo.", [("Start", "One."), ("Two", "Two.")]),
        ("Scene 1: They come\nScene 2: They meet", [("They come", "They come"), ("They meet", "They meet")]),
        ("Part 1. One.\nPart 2. Two.", [("One", "One."), ("Two", "Two.")]),
        (
            "Scene 2 was the best of them.",
            [("Scene 2 was the best of them", "Scene 2 was the best of them.")],
        ),
    ],
)
def test_numbered_scenes_are_what_their_writer_meant(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(scene.title, scene.script) for scene in scenes_of(text)] == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Mr. Hall met Dr. A. B. Fox at 5 p.m. today. He ran.", 2),
        ("It cost 3.50. Really?! “Yes.” He left.", 4),
        ("Wait… what? [pause 500ms] No!", 3),
        ("潮は一日に二回来ます。月に従います。", 2),
        ("no end mark", 1),
        ("", 0),
    ],
)
def test_sentences_end_where_people_end_them(text: str, expected: int) -> None:
    assert len(sentences(text)) == expected


@pytest.mark.parametrize("text", ["", "  \n\n ", "…", "# Only a heading", "* * *"])
def test_a_text_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        scenes_of(text, 3)
    assert refused.value.code == "script.empty"


def test_more_scenes_than_a_script_may_have_are_refused() -> None:
    text = "\n\n".join(f"# Part {number}\nOne sentence." for number in range(80))
    with pytest.raises(Invalid) as refused:
        scenes_of(text)
    assert refused.value.code == "script.too_many_scenes"


def test_no_text_loses_a_word() -> None:
    dice = random.Random(7)  # noqa: S311
    marks = [".", "!", "?", "…", "。", ",", "", " ", "\n", "\n\n", '"', ")"]
    for _ in range(300):
        text = "".join(
            f"{dice.choice(['Sea', 'x', '7', '潮', 'Dr'])}{dice.choice(marks)} " for _ in range(40)
        )
        for count in (None, 1, 3, 9):
            assert "".join("".join(scripts(text, count)).split()) == "".join(text.split())


def test_a_very_long_text_is_divided_at_once() -> None:
    text = "The tide comes in, and it goes out again after a while. " * 1700
    found = scripts(text, 40)
    assert len(found) == 40
    assert words(" ".join(found)) == words(text)


@pytest.mark.parametrize(
    "text",
    [
        f"# a{' ' * 100_000}b",
        f"# a{'#' * 100_000}b",
        f"Scene 1: a{' ' * 100_000}b",
        f"Scene 1{' ' * 100_000}b",
        f"a{'!' * 100_000}b",
        f"a!{')' * 100_000}b",
    ],
    ids=["heading", "marks", "title", "number", "ends", "quotes"],
)
def test_a_long_run_of_blanks_or_marks_is_looked_at_once(text: str) -> None:
    """Takes milliseconds: trying each division would take minutes or years for these."""
    [script] = scripts(text)
    assert script.endswith("b")


def test_headings_keep_what_they_say_and_lose_their_marks() -> None:
    text = "#  The moon  ## \nIt pulls.\n### ###\nIt turns.\n**Part 2** - The sun ** \nIt shines."
    assert [scene.title for scene in scenes_of(text)] == ["The moon", "It turns", "The sun"]


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("The tide comes in twice a day, and it follows the moon.", 3500, 6000),
        ("One [pause 2000ms] two", 2500, 3200),
        ("[speaker mei] [mood warm] One [gesture wave] two [speaker host]", 500, 1200),
        ("潮は一日に二回来ます。", 2000, 3500),
        ("", 0, 0),
    ],
)
def test_how_long_it_takes_to_say(text: str, low: int, high: int) -> None:
    assert low <= speaking_ms(text) <= high
