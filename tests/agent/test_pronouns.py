"""Sentences of the evaluation that say “it” in place of a name."""

from __future__ import annotations

import random

import pytest

from agent.understanding.corpus import parse_example
from bench.nlu_evaluation.pronouns import with_pronoun


def _with_pronoun(intent: str, marked: str, language: str = "en") -> str | None:
    """Returns the sentence with its marks, as the corpus has them."""
    found = with_pronoun(parse_example(intent, language, marked), random.Random(1))  # noqa: S311
    if found is None:
        return None
    text = found.example.text
    for one in reversed(found.example.spans):
        text = f"{text[: one.start]}[{text[one.start : one.end]}]({one.slot}){text[one.end :]}"
    return text


@pytest.mark.parametrize(
    ("intent", "language", "marked", "expected"),
    [
        (
            "change_machine.drain",
            "en",
            "drain the machine [bolt](machine), please",
            "drain [that one](machine), please",
        ),
        (
            "edit_project.rename",
            "en",
            "call my project [Tides](project) [Low Tide](title)",
            "call [this project](project) [Low Tide](title)",
        ),
        ("retry_render", "de", "mach das Video [Gezeiten](render) nochmal", "mach [das](render) nochmal"),
    ],
)
def test_a_pronoun_takes_the_place_of_article_noun_and_name(
    intent: str, language: str, marked: str, expected: str
) -> None:
    found = _with_pronoun(intent, marked, language)
    assert found is not None
    before, after = expected.split("[", 1)[0], expected.split(")", 1)[1]
    assert found.startswith(before) and found.endswith(after)


@pytest.mark.parametrize(
    ("intent", "marked"),
    [
        ("snapshots.diff", "compare [monday](name) with [friday](other)"),
        ("create_persona.change", "[Vera](persona)'s title is [Head](title)"),
        ("list_renders", "what videos do I have"),
        ("retry_render", "do [that](render) again"),
    ],
)
def test_without_one_name_of_a_thing_there_is_no_such_sentence(intent: str, marked: str) -> None:
    assert _with_pronoun(intent, marked) is None
