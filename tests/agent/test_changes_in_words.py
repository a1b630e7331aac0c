"""A video, a project or a scene is changed in any words, and what nobody here can do is named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from conversing import Conversing, calls

from agent.events import BrainEvent, Failure, Text, ToolCalled
from agent.understanding import changes
from app.composition import Services
from soundstage.settings import Settings

PERSONA = "id: {id}\nname: {name}\nface: {{kind: rig, character: nova}}\n"
VIDEO = "Make a video where Nova says: We meet on Thursday at eight."


@pytest.fixture
def settings(settings: Settings) -> Settings:
    for name in ("Milo", "Vera"):
        path = settings.personas_dir / f"{name.lower()}.yaml"
        path.write_text(PERSONA.format(id=name.lower(), name=name))
    return settings


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


def video_arguments(events: Sequence[BrainEvent]) -> list[dict[str, object]]:
    """Returns the arguments of the videos that were asked for."""
    return [one.arguments for one in events if isinstance(one, ToolCalled) and one.tool == "make_render"]


def texts(events: Sequence[BrainEvent]) -> str:
    return "\n".join(one.text for one in events if isinstance(one, Text))


async def say_yes(talk: Conversing, sentence: str) -> list[BrainEvent]:
    """Says a sentence, and yes where that is asked for."""
    events = await talk.say(sentence)
    if any(isinstance(event, Text) and event.choices for event in events):
        events = await talk.say("yes")
    return events


@pytest.mark.parametrize(
    ("sentence", "look"),
    [
        ("a bit slower please", {"pace": "slow"}),
        ("viel langsamer", {"pace": "slowest"}),
        ("she talks too fast", {"pace": "slow"}),
        ("er spricht zu langsam", {"pace": "fast"}),
        ("put subtitles under it", {"captions": "burned"}),
        ("mit Schrift unten drunter", {"captions": "burned"}),
        ("remove the captions again", {"captions": "none"}),
        ("nimm die Untertitel wieder raus", {"captions": "none"}),
        ("put a dark blue background behind her", {"background": "dark blue"}),
        ("taller, for the phone", {"shape": "vertical"}),
        ("Slow food festival", {}),
        ("the bus leaves fast", {}),
    ],
)
def test_a_look_is_found_in_any_words(sentence: str, look: dict[str, str]) -> None:
    assert changes.look_of(sentence) == look


@pytest.mark.parametrize(
    ("sentence", "pair"),
    [
        ('change "supervisor" to "shift leader"', ("supervisor", "shift leader")),
        ("replace Thursday with Friday", ("Thursday", "Friday")),
        ("Friday instead of Thursday", ("Thursday", "Friday")),
        ("am Freitag statt am Donnerstag", ("Donnerstag", "Freitag")),
        ("ersetze Donnerstag durch Freitag", ("Donnerstag", "Freitag")),
        ("delete the scene", None),
    ],
)
def test_words_that_replace_others_are_found(sentence: str, pair: tuple[str, str] | None) -> None:
    assert changes.replacement_in(sentence) == pair


@pytest.mark.parametrize(
    ("sentence", "changed"),
    [
        ("slower", {"pace": "slow"}),
        ("can she talk a bit slower please, they are only ten", {"pace": "slow"}),
        ("langsamer", {"pace": "slow"}),
        ("put subtitles under it", {"captions": "burned"}),
        ("bitte mit Untertiteln", {"captions": "burned"}),
        ('change "eight" to "nine"', {"script": "We meet on Thursday at nine."}),
        ("no, on Friday", {"script": "We meet on Friday at eight."}),
        ("Friday instead of Thursday", {"script": "We meet on Friday at eight."}),
        ('no wait, "We meet on Monday at noon."', {"script": "We meet on Monday at noon."}),
    ],
)
async def test_the_last_video_is_made_again_with_the_change(
    services: Services, talk: Conversing, sentence: str, changed: dict[str, str]
) -> None:
    await talk.say(VIDEO)
    [arguments] = video_arguments(await say_yes(talk, sentence))
    script = {"script": "We meet on Thursday at eight."}
    assert {name: arguments[name] for name in {**script, **changed}} == {**script, **changed}
    states = [one.state for one in await services.studio.renders.list()]
    assert sorted(states) == ["cancelled", "queued"]


async def test_even_slower_goes_on_in_the_same_direction(talk: Conversing) -> None:
    await talk.say(VIDEO)
    await talk.say("slower")
    assert [one["pace"] for one in video_arguments(await talk.say("slower"))] == ["slowest"]


async def test_a_slower_video_is_spoken_slower(services: Services, talk: Conversing) -> None:
    await talk.say(VIDEO)
    await talk.say("slower")
    newest, before = await services.studio.renders.list()
    [slow], [usual] = [(await services.studio.renders.detail(one.id)).spec.scenes for one in (newest, before)]
    assert slow.voice.pace < usual.voice.pace  # type: ignore[union-attr]


async def test_the_question_names_every_change(talk: Conversing) -> None:
    await talk.say(VIDEO)
    events = await talk.say("perhaps she could talk slower with a navy background, they are only ten")
    assert "pace slower" in texts(events)
    assert "background navy" in texts(events)


async def test_several_presenters_get_a_video_each(talk: Conversing) -> None:
    sentence = "make 3 videos: one with Nova, one with Milo, one with Vera, all say: Welcome to the fair."
    found = video_arguments(await say_yes(talk, sentence))
    assert [one["persona"] for one in found] == ["Nova", "Milo", "Vera"]
    assert {one["script"] for one in found} == {"Welcome to the fair."}


async def test_several_scenes_in_one_sentence_are_several(services: Services, talk: Conversing) -> None:
    await talk.say('please build me a video project "Safety training"')
    await say_yes(talk, "add a scene: Wear your helmet. and another one: Keep the exits clear.")
    scenes = services.studio.scenes
    found = [one.script for one in await scenes.list("safety-training")]
    assert found == ["Wear your helmet.", "Keep the exits clear."]
    await say_yes(talk, "move the helmet one to the end")
    assert [one.script for one in await scenes.list("safety-training")] == found[::-1]
    await say_yes(talk, 'change "exits" to "doors"')
    await say_yes(talk, "make the second scene slower")
    assert [one.script for one in await scenes.list("safety-training")] == [
        "Keep the doors clear.",
        '<prosody rate="85%">Wear your helmet.</prosody>',
    ]
    await talk.say("undo")
    assert [one.script for one in await scenes.list("safety-training")][1] == "Wear your helmet."


async def test_a_new_scene_is_taken_back_alone(services: Services, talk: Conversing) -> None:
    for sentence in ("start a new project called Harbour", "add a scene where Nova says: One.",
                     "add a scene where Nova says: Two."):  # fmt: skip
        await say_yes(talk, sentence)
    await talk.say("undo")
    assert [one.script for one in await services.studio.scenes.list("harbour")] == ["One."]


async def test_what_will_be_forgotten_is_shown_before(talk: Conversing) -> None:
    await talk.say("remember that our company is called Brightwater and we always use Milo")
    assert "our company is called Brightwater" in texts(await talk.say("forget the thing about Milo"))


@pytest.mark.parametrize(
    ("sentence", "part"),
    [
        ("Kannst du das auch auf Englisch machen?", "übersetze nicht"),
        ("can you translate it", "do not translate"),
        ("What does it cost if I run ten videos?", "costs"),
        ("add captions in Spanish", "language that is spoken"),
        ("please add some music", "added in the editor"),
        ("put a lower third with the name Walter there", "set in the editor"),
        ("kannst du eine Bauchbinde einblenden?", "Editor eines Projekts"),
        ("restart the worker", "restart"),
        ("Can you make my presenter look like me?", "photo"),
        ("make it louder", "loud"),
        ("make it more formal", "wording"),
        ("what do you mean?", "Tell me what shall be said"),
        ("which presenter did you use?", "Nova speaks"),
        ("I don't like the background", "Which background"),
    ],
)
async def test_what_is_not_possible_is_named(talk: Conversing, sentence: str, part: str) -> None:
    await talk.say(VIDEO)
    events = await talk.say(sentence)
    assert calls(events) == []
    assert part in texts(events)


async def test_a_background_that_is_not_known_is_asked_for_again(talk: Conversing) -> None:
    await talk.say(VIDEO)
    await talk.say("I don't like the background")
    assert "One colour" in texts(await talk.say("something like an office"))
    assert [one["background"] for one in video_arguments(await talk.say("green"))] == ["#008000"]


async def test_indirect_speech_is_not_spoken_as_it_stands(talk: Conversing) -> None:
    await talk.say("mach ein Video mit Milo")
    assert "genau" in texts(await talk.say("er soll sagen, dass das Training am Donnerstag ausfällt"))
    [arguments] = video_arguments(await talk.say("Das Training fällt am Donnerstag aus."))
    assert (arguments["persona"], arguments["script"]) == ("Milo", "Das Training fällt am Donnerstag aus.")


async def test_no_reply_names_the_arguments_of_a_tool(talk: Conversing) -> None:
    events = await talk.say("take a snapshot of everything before I change things")
    failures = [f"{one.message} {one.hint}" for one in events if isinstance(one, Failure)]
    assert not any("takes:" in one or "arguments" in one for one in (*failures, texts(events)))


async def test_a_wish_behind_a_greeting_is_understood(talk: Conversing) -> None:
    assert "Vera say?" in texts(await talk.say("Good morning team, I need a clip spoken by Vera"))
    assert "Hello" in texts(await Conversing(talk.services).say("hello there"))


async def test_numbered_scenes_are_each_one_scene(services: Services, talk: Conversing) -> None:
    await say_yes(talk, "start a new project called Warehouse")
    await say_yes(talk, "scene 1: Wear your vest. scene 2: Look left. scene 3: Report it.")
    found = [one.script.rstrip(".") for one in await services.studio.scenes.list("warehouse")]
    assert found == ["Wear your vest", "Look left", "Report it"]


async def test_the_time_of_a_plan_is_changed_before_the_yes(talk: Conversing) -> None:
    await talk.say("every monday at nine in the morning list the machines")
    assert "10:00" in texts(await talk.say("change the time to ten"))
    events = await talk.say("yes")
    [steps] = [one.arguments["steps"] for one in events if isinstance(one, ToolCalled)]
    assert [step["when"]["time"] for step in steps] == ["10:00"]
