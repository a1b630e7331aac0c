"""Every example of the grammar files is understood as its own intent; near misses get suggestions."""

from __future__ import annotations

import pytest

from agent.brain import not_understood
from agent.understanding import Grammar, NotUnderstood, Understanding

GRAMMAR = Grammar.load()
EXAMPLES = [(entry.intent, entry.tool, example) for entry in GRAMMAR.help for example in entry.examples]


@pytest.mark.parametrize("intent, tool, example", EXAMPLES)
def test_every_example_is_understood_as_what_it_is_an_example_of(
    intent: str, tool: str | None, example: str
) -> None:
    found = GRAMMAR.understand(example)
    assert isinstance(found, Understanding)
    assert (found.intent, found.tool) == (intent, tool)


def test_every_intent_says_what_it_is_for_and_gives_an_example() -> None:
    assert all(entry.purpose and entry.examples for entry in GRAMMAR.help)


@pytest.mark.parametrize(
    "sentence, arguments",
    [
        ("make a video where nova says: x", {"persona": "nova"}),
        ("Create a 720p video where Nova says: x", {"persona": "Nova", "quality": "720p"}),
        ("Make a video in 360p where Nova says: x", {"persona": "Nova", "quality": "360p"}),
        ("In 360p, make a video where Nova says: x", {"persona": "Nova", "quality": "360p"}),
        ("In vertical 720p have Nova say: x", {"persona": "Nova", "quality": "720p", "shape": "vertical"}),
        ("Could you please render a square clip saying: x", {"shape": "square"}),
        ("Make a video with burned captions where Nova says: x", {"persona": "Nova", "captions": "burned"}),
        ("Make a video without captions where Nova says: x", {"persona": "Nova", "captions": "none"}),
        (
            "Make a video on a #102030 background where Nova says: x",
            {"persona": "Nova", "background": "#102030"},
        ),
        (
            "Make a video on a sky blue background where Nova says: x",
            {"persona": "Nova", "background": "sky blue"},
        ),
        (
            "Make a video with a blurred background where Nova says: x",
            {"persona": "Nova", "background": "blurred"},
        ),
        (
            "Make a 720p video called Welcome with burned captions on a navy background where Nova says: x",
            {
                "persona": "Nova",
                "quality": "720p",
                "title": "Welcome",
                "captions": "burned",
                "background": "navy",
            },
        ),
        ("Nova says: x", {"persona": "Nova"}),
        ("Say: x", {}),
        ("Render: x", {}),
    ],
)
def test_options_are_read_wherever_they_stand_before_the_script(
    sentence: str, arguments: dict[str, str]
) -> None:
    found = GRAMMAR.understand(sentence)
    assert isinstance(found, Understanding), found
    assert found.arguments == {**arguments, "script": "x"}


@pytest.mark.parametrize(
    "sentence, tool, arguments",
    [
        ("cancel", "cancel_render", {"action": "cancel"}),
        ("Stop it!", "cancel_render", {"action": "cancel", "render": "latest"}),
        ("Cancel the video rnd_01hz", "cancel_render", {"action": "cancel", "render": "rnd_01hz"}),
        ("is it done yet?", "show_render", {"render": "latest"}),
        ("Show it", "show_render", {"render": "latest"}),
        ("Show the last video", "show_render", {"render": "finished"}),
        ("play my newest clip", "show_render", {"render": "finished"}),
        ("Cancel the last video", "cancel_render", {"action": "cancel", "render": "latest"}),
        ("show the video 01HZ-7", "show_render", {"render": "01HZ-7"}),
        ("What videos do I have?", "list_renders", {}),
        ("who can speak", "list_personas", {}),
    ],
)
def test_commands_reach_their_tool(sentence: str, tool: str, arguments: dict[str, str]) -> None:
    found = GRAMMAR.understand(sentence)
    assert isinstance(found, Understanding), found
    assert (found.tool, found.arguments) == (tool, arguments)


def test_a_path_and_names_come_through_as_typed() -> None:
    found = GRAMMAR.understand(
        'Create a persona called "Ada B." from photo "./My Photos/ada 1.JPG" '
        "with the consent of Ada Byron for demos"
    )
    assert isinstance(found, Understanding)
    assert found.arguments == {
        "action": "create", "name": "Ada B.",
        "photo": "./My Photos/ada 1.JPG", "person": "Ada Byron", "purpose": "demos",
    }  # fmt: skip


@pytest.mark.parametrize(
    "sentence, wanted",
    [
        ("Mkae a vidoe where Nova sayz: hi", "Make a video where Nova says: hi"),
        ("Mkae a video where Nova says: hi", "Make a video where Nova says: hi"),
        ("lst my vidoes", "List my videos"),
        ("who can speek", "Who can speak?"),
        ("cancle it", "Cancel it"),
    ],
)
def test_a_misspelt_sentence_gets_the_right_one_suggested(sentence: str, wanted: str) -> None:
    found = GRAMMAR.understand(sentence)
    assert isinstance(found, NotUnderstood)
    assert wanted in found.suggestions


def test_nonsense_gets_no_suggestion() -> None:
    found = GRAMMAR.understand("flurble gnarf quux")
    assert isinstance(found, NotUnderstood) and found.suggestions == ()


@pytest.mark.parametrize(
    "sentence",
    [
        "cancel the video and delete the project Tides",
        "Delete the project Tides, then stop the job tts",
        "cancel the video rnd_0123456 and publish it",
        "forget what I said about tides and please delete the video",
    ],
)
def test_of_two_wishes_in_one_sentence_none_is_done(sentence: str) -> None:
    found = GRAMMAR.understand(sentence)
    assert found == NotUnderstood(several=True)
    assert not_understood(found).code == "agent.several_wishes"


@pytest.mark.parametrize(
    "sentence, slot, value",
    [
        ('delete the project "Cut and delete"', "project", "Cut and delete"),
        ("Have Nova say: stop and delete it", "script", "stop and delete it"),
        ("remember that we cut and delete on Mondays", "text", "we cut and delete on Mondays"),
    ],
)
def test_what_is_quoted_or_told_may_sound_like_a_second_wish(sentence: str, slot: str, value: str) -> None:
    found = GRAMMAR.understand(sentence)
    assert isinstance(found, Understanding), found
    assert found.arguments[slot] == value
