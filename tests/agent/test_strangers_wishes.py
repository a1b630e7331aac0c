"""Strangers say what comes next in their first conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conversing import Conversing, calls, failure
from dialogue_stage import Dialogue, open_stage

from agent.events import BrainEvent, Text, ToolCalled
from agent.tools.health import ReadHealth, health
from soundstage.errors import SoundstageError
from soundstage.health import Level
from studio.renders.states import RenderState

SCRIPT = "Parents evening is on Tuesday at six."
WORLD = {
    "machines": ["atlas"],
    "channel": True,
    "projects": [
        {
            "title": "Summer fair",
            "scenes": [
                {"title": "Start", "persona": "nova", "script": "Welcome."},
                {"title": "End", "persona": "nova", "script": "Goodbye."},
            ],
        }
    ],
    "renders": [
        {"state": "done", "title": "Tides", "persona": "nova", "script": "Ebb and flow."},
        {"state": "failed", "title": "Bridge", "persona": "milo", "script": "The bridge stands."},
        {"state": "queued", "title": "Museum", "persona": "vera", "script": "The museum opens."},
    ],
}


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Conversing]:
    async with open_stage(Dialogue("strangers", (), expected={}, world=WORLD), tmp_path) as stage:
        yield Conversing(stage.services)


def arguments(events: list[BrainEvent]) -> dict[str, object]:
    """Returns the arguments of the only call."""
    [call] = [one for one in events if isinstance(one, ToolCalled)]
    return {name: value for name, value in call.arguments.items() if value is not None}


def question(events: list[BrainEvent]) -> Text:
    found = [one for one in events if isinstance(one, Text) and one.choices]
    assert found and calls(events) == [], events
    return found[-1]


@pytest.mark.parametrize(
    ("sentence", "changed"),
    [
        ("make Tides with Milo", {"persona": "Milo"}),
        ("could you render the video Tides again, upright please", {"shape": "vertical"}),
        ("Mach Tides in Full HD", {"quality": "1080p"}),
        ("make Bridge slower and with subtitles", {"pace": "slow", "captions": "burned"}),
    ],
)
async def test_a_video_that_is_named_is_made_once_more_with_another_look(
    talk: Conversing, sentence: str, changed: dict[str, str]
) -> None:
    events = await talk.say(sentence)
    found = arguments(events)
    assert calls(events) == ["make_render"] and str(found["video"]).startswith("rnd_")
    assert found.items() >= changed.items()


@pytest.mark.parametrize("sentence", ["make a video with Tides and Milo", "make Museum slower"])
async def test_another_video_or_one_in_work_is_none_made_once_more(talk: Conversing, sentence: str) -> None:
    assert calls(await talk.say(sentence)) == []


async def test_after_a_video_that_failed_it_is_tried_with_somebody_else(talk: Conversing) -> None:
    await talk.say("why did Bridge fail?")
    text = question(await talk.say("try again but with Nova")).text
    assert "a version of “Bridge”" in text and "Nova" in text


@pytest.mark.parametrize("sentence", ["rename it to Low tide", "call it Low tide"])
async def test_a_video_that_was_shown_gets_its_title_and_no_project_does(
    talk: Conversing, sentence: str
) -> None:
    await talk.say("show the video Tides")
    assert "called “Low tide”" in question(await talk.say(sentence)).text


@pytest.mark.parametrize(
    ("sentence", "machines"),
    [
        ("make a video with Vera: Hello everyone. And then show me the machines.", "Show the machines"),
        ("Mach ein Video mit Vera: Hallo zusammen. Und zeig mir dann alle Maschinen", "Maschinen zeigen"),
    ],
)
async def test_an_order_behind_a_text_is_not_spoken_without_a_yes(
    talk: Conversing, sentence: str, machines: str
) -> None:
    text = question(await talk.say(sentence)).text
    assert f"2. {machines}" in text and text.splitlines()[1].endswith((".”", ".“"))


async def test_days_in_a_text_are_no_plan(talk: Conversing) -> None:
    text = question(await talk.say("Bau ein Video nach dem Brief: Liebe Eltern, am Freitag ist frei.")).text
    assert "Liebe Eltern" in text


async def test_what_another_sentence_names_chooses_nothing(talk: Conversing) -> None:
    question(await talk.say("Öffne das Projekt Quatsch"))
    assert "edit_project" not in calls(await talk.say("Zeig das Video Quatsch"))


@pytest.mark.parametrize(
    "sentence", ["show the video please", "show me the video again", "let me see the video now"]
)
async def test_words_behind_the_video_are_no_title(talk: Conversing, sentence: str) -> None:
    events = await talk.say(sentence)
    assert calls(events) == ["show_render"] and arguments(events)["render"] == "latest"


async def test_to_stop_the_video_now_names_none(talk: Conversing) -> None:
    assert "Museum" in question(await talk.say("stop the video now")).text


@pytest.mark.parametrize("sentence", ["is the video foobar done?", "Ist das Video Foobar fertig?"])
async def test_a_title_that_nobody_knows_is_not_the_newest_video(talk: Conversing, sentence: str) -> None:
    assert "foobar" in question(await talk.say(sentence)).text.lower()


async def test_all_videos_are_deleted_but_one_in_work(talk: Conversing) -> None:
    text = question(await talk.say("delete all videos")).text
    assert "Delete the video “Tides”" in text and "Delete the video “Bridge”" in text
    assert "Left out: Delete the video “Museum”. This video is not finished yet." in text
    events = await talk.say("yes")
    assert calls(events) == ["cancel_render", "cancel_render"]


@pytest.mark.parametrize(
    ("sentence", "state", "titles"),
    [
        ("which videos are finished?", "done", ["Tides"]),
        ("Welche Videos sind gescheitert?", "failed", ["Bridge"]),
        ("which of my videos are waiting", "active", ["Museum"]),
        ("what is being made?", "active", ["Museum"]),
        ("which videos are there?", None, ["Museum", "Bridge", "Tides"]),
        ("what videos have we done so far", None, ["Museum", "Bridge", "Tides"]),
    ],
)
async def test_videos_are_listed_by_state(
    talk: Conversing, sentence: str, state: str | None, titles: list[str]
) -> None:
    events = await talk.say(sentence)
    assert arguments(events).get("state") == state
    text = "\n".join(one.text for one in events if isinstance(one, Text))
    assert [title for title in ("Museum", "Bridge", "Tides") if title in text] == titles


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("which channels are connected?", "Connected on YouTube: Our channel."),
        ("connect youtube", "soundstage publish connect"),
        ("Welche Kanäle sind verbunden?", "Auf YouTube verbunden: Our channel."),
        ("What voice does Milo have?", "Milo has a deep voice."),
        ("Welche Stimme hat Vera?", "Vera hat eine hohe Stimme."),
        ("who is Nova?", "Nova, Presenter."),
        ("Hilfe zu Videos", "Videos auflisten"),
    ],
)
async def test_questions_about_the_studio_are_answered_without_a_call(
    talk: Conversing, sentence: str, words: str
) -> None:
    events = await talk.say(sentence)
    assert calls(events) == [] and words in await talk.told(sentence)


@pytest.mark.parametrize(
    ("sentence", "code"), [("Rechne 3 hoch 10", "3 ** 10"), ("what is 24 times 365?", "24 * 365")]
)
async def test_what_is_calculated_in_words(talk: Conversing, sentence: str, code: str) -> None:
    assert arguments(await talk.say(sentence))["code"] == code


async def test_what_the_last_video_says_and_who_shall_say_it(talk: Conversing) -> None:
    await talk.say(f"make a video where Nova says: {SCRIPT}")
    assert await talk.told("what does it say") == f"It says: “{SCRIPT}”"
    assert question(await talk.say("can it be a man speaking")).choices
    assert calls(await talk.say("send it to Ms Okafor")) == []
    assert calls(await talk.say("let's see")) == ["show_render"]


async def test_a_video_that_waits_for_a_yes_gets_a_background(talk: Conversing) -> None:
    question(await talk.say("I'd like Walter to read a story: Once upon a time there was a whale."))
    text = question(await talk.say("make the background green")).text
    assert "Once upon a time" in text and "background green" in text


async def test_a_question_about_the_presenter_is_not_spoken_without_a_yes(talk: Conversing) -> None:
    await talk.say("make a video with Milo")
    question(await talk.say("can he wear a hat"))


@pytest.mark.parametrize("sentence", ["sag alles ab", "cancel everything that is planned"])
async def test_all_plans_are_cancelled_at_once(talk: Conversing, sentence: str) -> None:
    await talk.say("tomorrow at eight make a video where Nova says: Good morning")
    await talk.say("yes")
    assert arguments(await talk.say(sentence))["trigger"] == "all"
    assert failure(await talk.say("cancel the plan")).message == "Nothing is planned."


async def test_what_was_just_recalled_is_forgotten(talk: Conversing) -> None:
    await talk.say("remember that our school is called Riverside")
    await talk.say("what is our school called?")
    question(await talk.say("forget it again"))
    assert calls(await talk.say("yes")) == ["memory"]


@pytest.mark.parametrize(
    ("sentence", "reply"),
    [
        ("can I have it as gif", "Videos are MP4 files"),
        ("make her smile", "`[mood warm]`"),
        ("kann sie lächeln", "`[mood warm]`"),
        ("als GIF bitte", "MP4-Dateien"),
    ],
)
async def test_what_cannot_be_done_says_what_can(talk: Conversing, sentence: str, reply: str) -> None:
    await talk.say(f"make a video where Nova says: {SCRIPT}")
    assert reply in await talk.told(sentence)


async def test_a_scene_gets_a_heading_and_the_project_is_shown(talk: Conversing) -> None:
    await talk.say("open Summer fair")
    assert "heading “Open labs”" in question(await talk.say("put a title on the first scene: Open labs")).text
    assert calls(await talk.say("how long is the whole thing")) == ["list_projects"]


@pytest.mark.parametrize(
    ("sentence", "tool", "reply"),
    [
        ("when was the last backup?", "health", "backup: no backup"),
        ("Wann war die letzte Sicherung?", "health", "keine Sicherung"),
        ("how much disk space do the videos use", "health", "GiB free"),
        ("who deleted the Winter fair video", "audit", "audit log"),
        ("wer hat gestern etwas gelöscht", "audit", "Audit-Protokoll"),
    ],
)
async def test_questions_about_the_installation(
    talk: Conversing, sentence: str, tool: str, reply: str
) -> None:
    events = await talk.say(sentence)
    text = "\n".join(one.text for one in events if isinstance(one, Text))
    assert calls(events) == [tool] and reply in text


async def test_a_part_that_nothing_checks_is_an_error() -> None:
    async def find() -> object:
        return SimpleNamespace(level=Level.GREEN, sentence="All is well.", checks=())

    context: Any = SimpleNamespace(services=SimpleNamespace(health=find))
    with pytest.raises(SoundstageError, match="Nothing checks") as raised:
        await health.run(context, ReadHealth(part="weather"))
    assert raised.value.code == "health.no_part"


async def test_after_a_run_it_is_no_video(talk: Conversing) -> None:
    await talk.say("show me the last run")
    assert "cancel_render" not in calls(await talk.say("stop it"))


async def test_a_machine_that_was_spoken_of_is_asked_about(talk: Conversing) -> None:
    await talk.say("what is atlas doing")
    assert arguments(await talk.say("is it empty yet"))["node"] == "atlas"


async def test_all_failed_videos_are_offered_in_german(talk: Conversing) -> None:
    text = question(await talk.say("lösche alle gescheiterten Videos")).text
    assert "„Bridge“" in text and "„Tides“" not in text


async def test_a_german_topic_is_a_title_without_its_case(talk: Conversing) -> None:
    assert "„Wasserkreislauf“" in await talk.told("schreib ein Skript über den wasserkreislauf")


async def test_a_text_fills_the_scenes_that_were_just_made(talk: Conversing) -> None:
    await talk.say("write a script about whales")
    question(await talk.say("use this text: Whales are big. Whales sing."))
    assert arguments(await talk.say("yes"))["text"] == "Whales are big. Whales sing."


async def test_another_video_behind_a_text_is_none_of_its_words(talk: Conversing) -> None:
    sentence = "make a video where Vera says: Welcome. And also one where Milo says: Goodbye."
    text = question(await talk.say(sentence)).text
    assert "with Vera that says “Welcome.”" in text and "with Milo that says “Goodbye.”" in text


async def test_no_it_is_no_presenter(talk: Conversing) -> None:
    await talk.say(f"make a video where Nova says: {SCRIPT}")
    events = await talk.say('no, it should say "Hi all"')
    film = [one.arguments for one in events if isinstance(one, ToolCalled)][-1]
    assert (film["persona"], film["script"]) == ("Nova", "Hi all")


@pytest.mark.parametrize(
    ("topic", "first", "second", "drop"),
    [
        (
            "write a script about whales with 4 scenes",
            "the text for scene 1 is: Whales are big.",
            "scene 2: Whales sing.",
            "scene 3 and 4 are not needed",
        ),
        (
            "schreib ein Skript über Wale mit 4 Szenen",
            "text für szene 1: Wale sind groß.",
            "szene 2: Wale singen.",
            "szene 3 und 4 brauch ich nicht",
        ),
    ],
    ids=["en", "de"],
)
async def test_scenes_get_their_words_one_by_one(
    talk: Conversing, topic: str, first: str, second: str, drop: str
) -> None:
    await talk.say(topic)
    for number, sentence in (("1", first), ("2", second)):
        found = arguments(await talk.say(sentence))
        assert (found["scene"], found["script"]) == (number, sentence.partition(": ")[2])
    question(await talk.say(drop))
    assert calls(await talk.say("yes")) == ["edit_project", "edit_project"]
    assert calls(await talk.say("film it")) == ["make_render"]


@pytest.mark.parametrize("sentence", ["who speaks in scene 2", "wer spricht in Szene 2"])
async def test_a_question_about_a_scene_is_none_of_its_words(talk: Conversing, sentence: str) -> None:
    await talk.say("open Summer fair")
    await talk.say("change scene 2")
    assert calls(await talk.say(sentence)) == ["list_projects"]


async def test_who_shall_speak_a_scene_does_not_end_it(talk: Conversing) -> None:
    await talk.say("open Summer fair")
    assert "delete" not in str(await talk.say("lass Finn Szene 2 sprechen"))


async def test_a_word_is_changed_in_a_scene(talk: Conversing) -> None:
    await talk.say("open Summer fair")
    events = await talk.say("change Welcome to Hello in scene 1")
    offered = str([one for one in events if not isinstance(one, Text) or one.choices or one.text])
    assert "Hello." in offered and "Hello in scene" not in offered


async def test_what_waits_for_a_yes_keeps_its_other_changes(talk: Conversing) -> None:
    await talk.say(f"make a video where Nova says: {SCRIPT}")
    question(await talk.say("make it a bit faster n put the words at the botom"))
    text = question(await talk.say("actually use Vera")).text
    assert "Vera" in text and "faster" in text


async def test_a_video_that_has_a_question_for_its_name_is_no_project(talk: Conversing) -> None:
    await talk.say(f"make a video where Nova says: {SCRIPT}")
    assert calls(await talk.say("whats it called")) == ["show_render"]
    assert "called “Zoo trip”" in question(await talk.say("call it Zoo trip")).text


async def test_the_language_of_a_presenter_is_that_of_the_text(talk: Conversing) -> None:
    assert "language of the text" in await talk.told("can he speak german")


async def test_what_waits_for_an_approval_is_shown_and_cancelled(talk: Conversing) -> None:
    await talk.say("publish Tides as private")
    assert calls(await talk.say("who has to approve that")) == ["list_approvals"]
    assert (await talk.told("cancel that")).startswith("It is withdrawn.")


async def test_a_conversation_of_two_becomes_scenes_in_its_order(talk: Conversing) -> None:
    sentence = "make a video with two presenters talking: Nova: Hi Milo! Milo: How are you? Nova: Great."
    lines = [one for one in question(await talk.say(sentence)).text.splitlines() if "Add a scene" in one]
    names = [name for line in lines for name in ("Nova", "Milo") if f"with {name}" in line]
    assert names == ["Nova", "Milo", "Nova"]


async def test_a_scene_can_go(talk: Conversing) -> None:
    await talk.say("open Summer fair")
    assert "2" in question(await talk.say("scene 2 can go")).text


def test_states_of_the_list_are_those_of_renders() -> None:
    assert {"done", "failed", "cancelled"} <= {one.value for one in RenderState}
