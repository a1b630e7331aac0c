"""The reader beside a language model: what is certain is done at once, the model gets the rest."""

from __future__ import annotations

import pytest
from model_talk import Talking, notices, renders, results, texts
from scripted_model import Call, Say, Status

from agent.events import ConfirmationRequested, ToolCalled

UNCERTAIN = "the thing with the boats could do with being a bit more like the other one, perhaps"


async def test_what_the_reader_is_certain_of_never_reaches_the_model(talking: Talking) -> None:
    async with talking(Say("no"), reader=True) as talk:
        events = await talk.say("could you list all of my videos for me")
        assert talk.model.asked == []
    assert results(events)[0].tool == "list_renders"


async def test_the_model_gets_the_reading_after_the_words_of_the_person(
    talking: Talking,
) -> None:
    async with talking(Say("Which boats?"), reader=True) as talk:
        events = await talk.say(UNCERTAIN)
        [request] = talk.model.asked
    *_, reading, end = request["messages"][-1]["content"].splitlines()
    assert request["messages"][-1]["content"].startswith(f"{UNCERTAIN}\n\n<notes ")
    assert reading.startswith("A classifier takes the sentence for: ") and end.startswith("</notes ")
    assert "classifier" not in request["messages"][0]["content"]
    assert texts(events) == ["Which boats?"]


async def test_when_the_model_fails_the_reader_answers(talking: Talking) -> None:
    async with talking(Status(500), reader=True) as talk:
        events = await talk.say("thanks a lot")
    assert notices(events) == ["model.refused"]
    assert texts(events) == ["You are welcome."]


PROPOSED = Call("make_render", {"script": "Hello", "persona": "nova"})


@pytest.mark.parametrize("yes", ["Ja", "yes", "yes please"])
async def test_a_yes_in_any_language_runs_what_the_model_proposed_once(talking: Talking, yes: str) -> None:
    async with talking(
        PROPOSED, Say("Shall I make it?"), Say("There is nothing to do."), reader=True
    ) as talk:
        proposed = await talk.say(UNCERTAIN)
        assert [event.tool for event in proposed if isinstance(event, ConfirmationRequested)] == [
            "make_render"
        ]
        assert not [event for event in proposed if isinstance(event, ToolCalled)]
        agreed = await talk.say(yes)
        assert [event.tool for event in results(agreed)] == ["make_render"]
        again = await talk.say(yes)
        assert results(again) == []
        assert len(await renders(talk)) == 1


async def test_a_no_or_another_sentence_drops_the_proposal(talking: Talking) -> None:
    async with talking(PROPOSED, Say("Shall I?"), Say("All right."), Say("Nothing."), reader=True) as talk:
        await talk.say(UNCERTAIN)
        await talk.say("no")
        await talk.say("yes")
        assert await renders(talk) == []


async def test_a_yes_does_not_run_what_was_not_shown_whole(talking: Talking) -> None:
    long = Call("make_render", {"script": "word " * 200, "persona": "nova"})
    async with talking(long, Say("Shall I?"), Say("Say it yourself."), reader=True) as talk:
        await talk.say(UNCERTAIN)
        await talk.say("yes")
        assert await renders(talk) == []


async def test_a_yes_deletes_nothing(talking: Talking) -> None:
    async with talking(
        Call("snapshots", {"action": "delete", "name": "monday"}), Say("Shall I?"), Say("No."), reader=True
    ) as talk:
        await talk.say("save this as monday")
        await talk.say(UNCERTAIN)
        events = await talk.say("yes")
    assert results(events) == []
