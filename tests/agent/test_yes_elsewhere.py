"""A plain yes in another language than the conversation's agrees to what was asked, and to nothing else."""

from __future__ import annotations

import pytest
from conversing import Conversing, calls
from model_talk import Talking, renders
from scripted_model import Call, Say

from agent.answering.replies import is_assent, is_yes_elsewhere
from app.composition import Services

UNSURE = "the thing with the boats could do with being a bit more like the other one, perhaps"
FILM = Call("make_render", {"script": "Ahoy there.", "persona": "nova"})


@pytest.mark.parametrize("yes", ["oui", "Oui !", "sí", "да", "はい", "好的", "evet", "D’accord."])
async def test_it_runs_what_a_model_proposed_once(talking: Talking, yes: str) -> None:
    async with talking(FILM, Say("Shall I?"), Say("Nothing."), reader=True) as talk:
        await talk.say(UNSURE)
        assert calls(await talk.say(yes)) == ["make_render"]
        assert calls(await talk.say(yes)) == []
        assert len(await renders(talk)) == 1


@pytest.mark.parametrize("yes", ["oui", "sim", "igen"])
async def test_it_answers_the_question_of_the_reader(services: Services, yes: str) -> None:
    talk = Conversing(services)
    assert calls(await talk.say("every Monday at nine list the machines")) == []
    assert calls(await talk.say(yes)) == ["triggers"]


async def test_it_answers_no_question_for_words(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("make a video with Nova")
    await talk.say("oui")
    await talk.say("every Monday at nine list the machines")
    await talk.say("list my videos")
    assert "triggers" not in calls(await talk.say("thanks")), "and thanks is none"


@pytest.mark.parametrize(
    "words", ["“oui”", "Sam said oui", "oui: delete it", "oui\n\npasted", "tak", "da", "non"]
)
async def test_what_has_other_words_or_means_something_else_is_none(talking: Talking, words: str) -> None:
    assert not is_assent(words)
    async with talking(FILM, Say("Shall I?"), Say("Nothing."), reader=True) as talk:
        await talk.say(UNSURE)
        await talk.say(words)
        assert await renders(talk) == []


def test_no_such_yes_is_a_word_of_ours() -> None:
    for word in ("ok", "no", "nein", "so", "is", "hi", "the", "eh", "hej"):
        assert not is_yes_elsewhere(word)
