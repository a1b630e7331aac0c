"""Words of a wish that its reading may leave out: denied values, all machines, times, what is spoken of."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.evaluation.cases import NOW, read_world
from agent.understanding import changes, values
from agent.understanding.agreement import agreement
from agent.understanding.candidates import waits
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.intents import reverse_of
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.when import clock_time
from agent.understanding.world import World


@pytest.fixture
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


def _interpret(reader: Reader, world: World, text: str, *calls: CallRecord) -> Decision:
    dialogue = Dialogue().after_calls(calls) if calls else Dialogue()
    return Interpreter(reader).interpret(text, world, dialogue, NOW)


@pytest.mark.parametrize(
    ("slot", "text", "value"),
    [
        ("privacy", "show it by link but not to the whole world", "unlisted"),
        ("shape", "square please, not vertical", "square"),
        ("shape", "nicht square sondern vertical", "vertical"),
        ("privacy", "public", "public"),
    ],
)
def test_a_denied_value_is_none(slot: str, text: str, value: str) -> None:
    assert values.plain_value(slot, changes.without_denied(slot, text)) == value


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("plan the upload for 4 December, 9:00 please", datetime(2026, 12, 4, 9)),
        ("Freitag, 17 Uhr", datetime(2026, 11, 27, 17)),
        ("some time on Friday", None),
        ("on Friday at eight or on Saturday at nine", None),
    ],
)
def test_one_time_of_day_is_found_behind_a_comma(text: str, at: datetime | None) -> None:
    assert clock_time(text, NOW.replace(tzinfo=None)) == at


def test_a_scene_at_the_last_picture_is_at_the_end() -> None:
    assert values.seconds("the very last picture") == "end"
    assert values.seconds("das letzte Bild") == "end"


@pytest.mark.parametrize(
    "text", ["run backup on every machine we have", "lass backup auf sämtlichen Rechnern laufen"]
)
def test_every_machine_is_all_of_them(reader: Reader, world: World, text: str) -> None:
    found = reader.read(text, world, Dialogue().focus(), NOW)
    [ansible] = [one for one in found if one.intent == "ansible"]
    assert ansible.arguments["machines"] == "all"


def test_a_dry_run_is_a_check(reader: Reader, world: World) -> None:
    found = reader.read("run site on atlas, just a dry-run", world, Dialogue().focus(), NOW)
    [ansible] = [one for one in found if one.intent == "ansible"]
    assert ansible.arguments["check"] is True
    assert changes.matches("denies_check", "for real, no dry run")


def test_what_becomes_public_at_a_time_is_not_public_before(reader: Reader, world: World) -> None:
    text = "publish Harbour teaser publicly on 4 December 2026 at 18:00"
    decision = _interpret(reader, world, text)
    calls = decision.calls or (decision.question.choices if decision.question else ())
    assert [call.arguments.get("publish_at") for call in calls] == ["2026-12-04T18:00"]
    assert "privacy" not in calls[0].arguments


def test_a_renamed_project_is_taken_back_under_its_new_name() -> None:
    call = CallRecord("edit_project.rename", {"project": "Tides", "title": "Waves"})
    assert reverse_of(call) == [CallRecord("edit_project.restore", {"project": "Waves"})]
    assert Dialogue().after_calls([call]).last["project"] == "Waves"


def test_not_this_one_after_all_takes_it_back(reader: Reader, world: World) -> None:
    drain = CallRecord("change_machine.drain", {"machine": "bolt"})
    for text in ("hang on, bolt not after all", "Moment, bolt doch nicht"):
        decision = _interpret(reader, world, text, drain)
        assert decision.calls == (CallRecord("change_machine.undrain", {"machine": "bolt"}),)
    assert not _interpret(reader, world, "atlas doch nicht", drain).calls


def test_a_plan_of_the_list_is_cancelled_by_what_it_is_about(reader: Reader, world: World) -> None:
    decision = _interpret(reader, world, "the one with bolt can go", CallRecord("triggers.list", {}))
    assert decision.question is not None
    assert decision.question.choices == (CallRecord("triggers.cancel", {"trigger": "bolt"}),)


def test_a_short_question_is_about_what_was_spoken_of(reader: Reader, world: World) -> None:
    shown = CallRecord("list_machines", {"machine": "atlas"})
    decision = _interpret(reader, world, "is it ready already?", shown)
    assert decision.calls == (CallRecord("list_machines", {"machine": "atlas"}),)


def test_a_no_with_another_name_asks_for_the_other(reader: Reader, world: World) -> None:
    film = CallRecord("make_render", {"persona": "Vera", "script": "Boo!"})
    decision = _interpret(reader, world, "no wait MILO not vera", film)
    assert decision.question is not None
    assert decision.question.choices == (CallRecord("make_render", {"persona": "Milo", "script": "Boo!"}),)


def test_a_calculation_in_words_is_no_code(reader: Reader, world: World) -> None:
    decision = _interpret(reader, world, "what is 17 percent of 2350? use python")
    assert decision.kind != "calls"


def test_a_snapshot_that_does_not_exist_is_not_certain(reader: Reader, world: World) -> None:
    def is_whole(name: str) -> bool:
        exact = CallRecord("snapshots.diff", {"name": name})
        return agreement(reader, exact, f"diff {name}", world).is_named

    assert is_whole("monday")
    assert not is_whole("monday before-cleanup")


@pytest.mark.parametrize(
    "text", ["need a 9:16 cut of Spring open day", "kill the render stuck at 40 percent"]
)
def test_a_shape_and_a_share_are_no_time_to_wait_for(reader: Reader, world: World, text: str) -> None:
    assert not any(waits(one) for one in reader.read(text, world, Dialogue().focus(), NOW))
    assert waits(reader.read("drain bolt at 9:15", world, Dialogue().focus(), NOW)[0])
