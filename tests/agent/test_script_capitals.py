"""A script that is the end of a sentence begins with a capital letter, as captions and titles show it."""

from __future__ import annotations

from typing import Any

import pytest
from conversing import Conversing, result

from agent.understanding.wording import with_capital
from app.composition import Services


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Nova says hello", "Hello"),
        ("tell Nova to say good morning to everyone in the lab", "Good morning to everyone in the lab"),
        ("Nova sagt übrigens ist heute frei", "Übrigens ist heute frei"),
        ("Nova says iPhone sales are up", "iPhone sales are up"),
        ('make a video where Nova says "hello in quotes"', "hello in quotes"),
        ("Have Nova say: one", "one"),
    ],
)
async def test_the_first_letter_of_spoken_words(services: Services, text: str, script: str) -> None:
    render = result(await Conversing(services).say(text))["render_id"]
    detail = await services.studio.renders.detail(render)
    assert detail.spec.model_dump()["scenes"][0]["script"] == detail.title == script


async def test_the_answer_to_what_shall_be_spoken(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("have Nova say")
    assert result(await talk.say("good morning everyone"))["title"] == "Good morning everyone"


@pytest.mark.parametrize(
    "arguments",
    [
        {"script": "1 is a number"},
        {"script": "www.example.com is open"},
        {"script": "<b>bold</b>"},
        {"script": "not a part of it"},
        {"title": "hello"},
        {"script": None},
    ],
)
def test_other_words_stay_as_they_are(arguments: dict[str, Any]) -> None:
    text = "Nova says 1 is a number, www.example.com is open and <b>bold</b>, title hello"
    assert with_capital(arguments, text) == arguments
