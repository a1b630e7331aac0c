"""Sentences with a time or an event become plans: shown, confirmed by yes, and set as triggers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from conversing import Conversing, calls, failure, result
from sqlalchemy import update

from agent.events import BrainEvent, Failure, Text
from agent.triggers.schemas import TriggerOut
from agent.understanding.when import Condition, conditions
from app.composition import Services, open_services
from soundstage.settings import Settings
from studio.renders.models import Render

PERSONA = "id: {id}\nname: {name}\nface: {{kind: rig, character: nova}}\n"
SUNDAY = datetime(2026, 11, 22, 10, 0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    personas = tmp_path / "personas"
    personas.mkdir()
    for name in ("Nova", "Milo", "Vera"):
        (personas / f"{name.lower()}.yaml").write_text(PERSONA.format(id=name.lower(), name=name))
    return Settings(state_dir=tmp_path / "state", out_dir=tmp_path / "out", personas_dir=personas)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as created:
        assert created.brain.reader is not None, "run python -m agent.understanding.trained"
        yield created


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


def question(events: Sequence[BrainEvent]) -> Text:
    """Returns the one text of an answer that calls nothing."""
    assert calls(events) == []
    assert not [event for event in events if isinstance(event, Failure)], events
    [text] = [event for event in events if isinstance(event, Text)]
    return text


async def open_triggers(talk: Conversing) -> list[TriggerOut]:
    return await talk.services.tool_services.triggers.find(talk.principal)


@pytest.mark.parametrize(
    "sentence, yes, shown, every, tool",
    [
        ("every Monday at nine list the machines", "yes", "Every Monday at 09:00", "week", "list_machines"),
        ("Jeden Montag um neun die Maschinen auflisten", "ja", "am Montag um 09:00", "week", "list_machines"),
        ("list the machines every hour", "Yes", "Every hour", "hour", "list_machines"),
        ("show me the jobs every day at 7:30", "yes", "Every day at 07:30", "day", "cluster_status"),
    ],
)
async def test_a_repetition_is_shown_and_set_with_a_yes(
    talk: Conversing, sentence: str, yes: str, shown: str, every: str, tool: str
) -> None:
    shown_plan = question(await talk.say(sentence))
    assert shown in shown_plan.text
    assert len(shown_plan.choices) == 2
    assert await open_triggers(talk) == []
    assert calls(await talk.say(yes)) == ["triggers"]
    [trigger] = await open_triggers(talk)
    assert (trigger.condition.every, [call.tool for call in trigger.calls]) == (every, [tool])


@pytest.mark.parametrize(
    "sentence, yes",
    [
        ("As soon as Tides is ready, put it online as unlisted", "yes"),
        ("Sobald Tides fertig ist, laden Sie es bitte ungelistet hoch", "ja"),
    ],
)
async def test_an_event_of_a_video_is_bound_to_its_id(talk: Conversing, sentence: str, yes: str) -> None:
    render_id = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
    assert "Tides" in question(await talk.say(sentence)).text
    await talk.say(yes)
    [trigger] = await open_triggers(talk)
    when, [call] = trigger.condition, trigger.calls
    assert (when.of, when.name, when.becomes) == ("render", render_id, "done")
    assert call.tool == "publish_render"
    assert (call.arguments["privacy"], call.arguments["render"]) == ("unlisted", render_id)


@pytest.mark.parametrize(
    "sentence", ["When the render is done, publish it", "Wenn das Video fertig ist, veröffentliche es"]
)
async def test_the_video_without_a_name_is_the_latest(talk: Conversing, sentence: str) -> None:
    render_id = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
    question(await talk.say(sentence))
    await talk.say("yes")
    [trigger] = await open_triggers(talk)
    assert (trigger.condition.of, trigger.condition.becomes) == ("render", "done")
    assert trigger.condition.name in (render_id, "latest")
    assert trigger.calls[0].tool == "publish_render"
    assert trigger.calls[0].arguments["render"] in (render_id, "latest")


@pytest.mark.parametrize(
    "sentence, name",
    [
        ("If the machine cpu-1 is ready, run verify on it", "cpu-1"),
        ("When cpu-1 is ready, have Nova say: hello", "cpu-1"),
        ("Wenn die Maschine Zebra bereit ist, starte verify darauf", "Zebra"),
        ("When the video Spring gala is done, publish it", "Spring gala"),
    ],
)
async def test_a_condition_on_something_that_does_not_exist_names_it(
    talk: Conversing, sentence: str, name: str
) -> None:
    await talk.say("Make a video called Tides where Nova says: hello")
    reply = question(await talk.say(sentence))
    assert f"“{name}”" in reply.text or f"„{name}“" in reply.text
    assert reply.choices == ()
    await talk.say("yes")
    assert await open_triggers(talk) == []


@pytest.mark.parametrize(
    "sentence", ["let me know when Tides is done", "sag mir Bescheid, sobald Tides fertig ist"]
)
async def test_let_me_know_shows_the_video_then(talk: Conversing, sentence: str) -> None:
    await talk.say("Make a video called Tides where Nova says: hello")
    question(await talk.say(sentence))
    await talk.say("yes")
    [trigger] = await open_triggers(talk)
    assert [call.tool for call in trigger.calls] == ["show_render"]


async def test_a_wish_after_a_quotation_is_planned_and_not_spoken(talk: Conversing) -> None:
    sentence = "have Milo say “good night” and as soon as it is ready, put it online as unlisted"
    shown_plan = question(await talk.say(sentence)).text
    assert [line[:2] for line in shown_plan.splitlines()[1:3]] == ["1.", "2."]
    events = await talk.say("yes")
    assert calls(events) == ["make_render", "triggers"]
    [trigger] = await open_triggers(talk)
    assert trigger.condition.name == result(events)["render_id"]
    assert trigger.calls[0].arguments["render"] == result(events)["render_id"]


async def test_a_no_sets_nothing(talk: Conversing) -> None:
    question(await talk.say("every Monday at nine list the machines"))
    await talk.say("no")
    assert await open_triggers(talk) == []


async def test_what_was_planned_is_listed_and_taken_back(talk: Conversing) -> None:
    await talk.say("every Monday at nine list the machines")
    await talk.say("yes")
    listed = result(await talk.say("What is planned?"))["triggers"]
    assert [one["state"] for one in listed] == ["waiting"]
    assert calls(await talk.say("take that back")) == ["triggers"]
    assert await open_triggers(talk) == []


@pytest.mark.parametrize("sentence", ["cancel trigger 1", "streich den Plan für Montag"])
async def test_a_trigger_is_cancelled_in_words(talk: Conversing, sentence: str) -> None:
    await talk.say("jeden Montag um neun die Maschinen auflisten")
    await talk.say("ja")
    events = await talk.say(sentence)
    if not calls(events):
        events = await talk.say("ja")
    assert calls(events) == ["triggers"]
    assert await open_triggers(talk) == []


async def test_what_deletes_is_not_planned(talk: Conversing) -> None:
    await talk.say("Make a video called Tides where Nova says: hello")
    events = await talk.say("in two hours delete the video Tides")
    assert calls(events) == []
    assert failure(events).code == "trigger.destructive"
    assert await open_triggers(talk) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "when the choir has voted, change the colour to whatever won",
        "on the first of each month verify the log if anyone asks",
        "when it rains on match day make the clip",
    ],
)
async def test_what_cannot_be_read_surely_sets_nothing(talk: Conversing, sentence: str) -> None:
    events = await talk.say(sentence)
    assert calls(events) == []
    await talk.say("yes")
    assert await open_triggers(talk) == []


async def test_a_trigger_that_was_set_in_words_fires(talk: Conversing) -> None:
    services = talk.services
    render_id = result(await talk.say("Make a video called Tides where Nova says: hello"))["render_id"]
    question(await talk.say("as soon as Tides is ready, show me the videos"))
    await talk.say("yes")
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(state="done"))
    for trigger_id in await services.triggers.due((), 10):
        await services.triggers.step(trigger_id)
    assert talk.session_id is not None
    turn = (await services.brain.sessions.turns(talk.principal, talk.session_id))[-1]
    assert (turn.tool, turn.error_code) == ("list_renders", None)
    assert "Tides" in turn.reply


@pytest.mark.parametrize(
    "text, expected",
    [
        ("in two hours stop it", Condition("time", at=datetime(2026, 11, 22, 12, 0))),
        ("tomorrow at 8 run it", Condition("time", at=datetime(2026, 11, 23, 8, 0))),
        ("On Friday at noon publish it", Condition("time", at=datetime(2026, 11, 27, 12, 0))),
        ("Am Freitag um 12 Uhr online stellen", Condition("time", at=datetime(2026, 11, 27, 12, 0))),
        ("on Friday evening at eight", Condition("time", at=datetime(2026, 11, 27, 20, 0))),
        ("on Friday publish it", Condition("time", at=datetime(2026, 11, 27, 9, 0))),
        ("switch bolt off tonight", Condition("time", at=datetime(2026, 11, 22, 20, 0))),
        ("tonight at ten stop it", Condition("time", at=datetime(2026, 11, 22, 22, 0))),
        ("drain bolt this evening", Condition("time", at=datetime(2026, 11, 22, 18, 0))),
        ("heute Nacht bolt ausschalten", Condition("time", at=datetime(2026, 11, 22, 22, 0))),
        ("on 1 December, eight in the evening", Condition("time", at=datetime(2026, 12, 1, 20, 0))),
        ("tomorrow, 9 in the morning", Condition("time", at=datetime(2026, 11, 23, 9, 0))),
        ("tomorrow eleven at night", Condition("time", at=datetime(2026, 11, 23, 23, 0))),
        ("every night at eleven", Condition("repeat", every="day", clock="23:00")),
        ("jede Nacht sichern", Condition("repeat", every="day", clock="22:00")),
        ("every weekday at 7:30", Condition("repeat", every="week", clock="07:30",
                                            days=("monday", "tuesday", "wednesday", "thursday", "friday"))),
        ("once comet is empty", Condition("event", becomes="empty")),
        ("if the clip fails", Condition("event", of="render", becomes="failed")),
        ("wenn der Lauf durch ist", Condition("event", of="run", becomes="done")),
    ],
)  # fmt: skip
def test_a_condition_is_found_by_its_words(text: str, expected: Condition) -> None:
    [found] = conditions(text, SUNDAY)
    assert found.condition == expected


@pytest.mark.parametrize(
    "text", ["Have Nova say: On Friday at noon we close", "have Nova say “when it is ready, run”"]
)
def test_what_is_quoted_or_after_a_colon_is_no_condition(text: str) -> None:
    assert conditions(text, SUNDAY) == []


def test_long_texts_are_searched_in_little_time() -> None:
    text = "when if once every on Friday at " * 400
    started = time.process_time()
    conditions(text, SUNDAY)
    assert time.process_time() - started < 2
