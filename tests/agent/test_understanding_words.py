"""Words of a wish that its reading may leave out: denied values, all machines, times, what is spoken of."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.understanding import calculations, changes, values
from agent.understanding.agreement import agreement, choose
from agent.understanding.candidates import waits
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.intents import reverse_of
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.when import clock_time
from agent.understanding.world import World
from bench.nlu_evaluation.cases import NOW, read_world


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


def test_a_no_with_another_name_is_for_the_other(reader: Reader, world: World) -> None:
    film = CallRecord("make_render", {"persona": "Vera", "script": "Boo!"})
    decision = _interpret(reader, world, "no wait MILO not vera", film)
    calls = decision.calls if decision.question is None else decision.question.choices
    assert calls == (CallRecord("make_render", {"persona": "Milo", "script": "Boo!"}),)


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


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("everything in the studio pool", "studio"),
        ("all in the group gpu", "gpu"),
        ("den gpu-Pool", "gpu"),
        ("alle im pool studio", "studio"),
        ("the whole pool", None),
        ("every machine", None),
    ],
)
def test_the_word_beside_a_pool_is_its_name(text: str, pool: str | None) -> None:
    assert values.pool(text) == pool


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("what is 24 times 365", "24 * 365"),
        ("rechne mal 18 mal 45", "18 * 45"),
        ("3 plus 4,5 divided by 2?", "3 + 4.5 / 2"),
        ("what is 17 percent of 2350? use python", None),
        ("scale it to 3", None),
        ("3 videos and 4 plus 1", None),
    ],
)
def test_a_calculation_with_numbers_is_code(text: str, code: str | None) -> None:
    assert calculations.calculation(text) == code


@pytest.mark.parametrize(
    "sentence",
    [
        "would stopping Harbour teaser now waste the part that's already done?",
        "the action at six o'clock stays, leave it as it is",
        "Old promo braucht niemand mehr, das bleibt gelöscht",
    ],
)
def test_what_speaks_against_a_change_is_asked_about(reader: Reader, world: World, sentence: str) -> None:
    assert _interpret(reader, world, sentence).kind != "calls"


def test_a_denial_that_the_wish_implies_is_none_of_it(reader: Reader, world: World) -> None:
    arguments = {"playbook": "site", "machines": "bolt", "check": True}
    for sentence in (
        "try site on bolt in check mode, without changing anything",
        "run site on bolt without changing anything",
    ):
        decision = _interpret(reader, world, sentence)
        calls = decision.calls if decision.question is None else decision.question.choices
        assert calls == (CallRecord("ansible", arguments),)


def test_a_name_alone_deletes_nothing_unless_it_was_asked_which_one(reader: Reader, world: World) -> None:
    deletion = CallRecord("cancel_render.delete", {"render": "Harbour teaser"})
    other = CallRecord("cancel_render.delete", {"render": "Budget review"})
    look = CallRecord("show_render", {"render": "Budget review"})
    for choices, chosen in (((deletion, look), None), ((deletion, other), deletion)):
        dialogue = Dialogue().asking(Question("unsure", choices=choices))
        decision = Interpreter(reader).answer("Harbour teaser", world, dialogue, NOW)
        calls = () if decision is None else decision.calls
        assert calls == (() if chosen is None else (chosen,))


def test_a_script_before_its_colon_names_nobody(reader: Reader, world: World) -> None:
    exact = CallRecord("make_render", {"persona": "Make a video that", "script": "We are closed."})
    text = "Make a video that says: We are closed."
    chosen = choose(exact, agreement(reader, exact, text, world), _interpret(reader, world, text))
    assert chosen is not None
    assert chosen.calls == (CallRecord("make_render", {"script": "We are closed."}),)
