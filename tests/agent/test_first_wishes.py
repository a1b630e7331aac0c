"""Opens conversations with what strangers wish for: whom a video is for, what it is about, who speaks."""

from __future__ import annotations

import pytest
from conversing import Conversing, calls
from test_what_follows import last_call, offer, say, words
from test_what_follows import talk as talk

from agent.events import Failure


@pytest.mark.parametrize(
    ("sentence", "persona", "script"),
    [
        ("Milo: No football on the front lawn.", "Milo", "No football on the front lawn."),
        ("leo: “Welcome back, everybody!”", "Leo", "Welcome back, everybody!"),
        ('make a video with Nova, script: "Welcome to the museum"', "Nova", "Welcome to the museum"),
    ],
)
async def test_a_line_begins_with_who_speaks_it(
    talk: Conversing, sentence: str, persona: str, script: str
) -> None:
    film = last_call(await talk.say(sentence))
    assert (film["persona"], film["script"]) == (persona, script)


@pytest.mark.parametrize(
    "sentences",
    [
        ("i want a video", "it's for my class", "Hello class!"),
        ("ich möchte ein video", "für meine oma zum geburtstag", "Alles Gute, liebe Oma!"),
        ("Ich soll für die Klasse 5b ein Video machen.", "Hallo, ihr Lieben alle!"),
        ("make a video", "please do not run in the corridor"),
        ("Mach ein Video, wo Nova die Hausordnung vorliest", "Bitte nicht rennen. Bitte leise sein."),
        ("I'd like a video in which Walter welcomes our guests", "Welcome to our hotel, dear guests."),
    ],
)
async def test_words_are_asked_for_until_they_are_there(talk: Conversing, sentences: tuple[str, ...]) -> None:
    *before, script = sentences
    for sentence in before:
        assert calls(await talk.say(sentence)) == []
    assert str(last_call(await talk.say(script))["script"]).lower() == script.lower()


@pytest.mark.parametrize("no", ["never mind", "no thanks, forget about it", "nein danke, lass es lieber"])
async def test_a_no_is_no_text(talk: Conversing, no: str) -> None:
    assert calls(await say(talk, "make a video", no)) == []


@pytest.mark.parametrize(
    ("sentences", "topic"),
    [
        (("can i make a video about our school",), "our school"),
        (("make a video about tides with milo",), "tides"),
        (("i want a video", "it's about volcanoes"), "volcanoes"),
        (("Ich möchte ein Video machen", "Es geht um Vulkane."), "Vulkane"),
    ],
)
async def test_nobody_can_write_so_the_words_of_a_film_are_asked_for(
    talk: Conversing, sentences: tuple[str, ...], topic: str
) -> None:
    assert topic in words(await say(talk, *sentences))
    film = last_call(await talk.say("This is what I want to tell you."))
    assert (film["action"], film["topic"], film["text"]) == (
        "film",
        topic,
        "This is what I want to tell you.",
    )
    assert "project_id" not in film


@pytest.mark.parametrize(
    ("sentence", "title", "scenes"),
    [
        ("start a new project Science Fair with three scenes: Welcome, Rules, Prizes", "Science Fair",
         ["Welcome", "Rules", "Prizes"]),
        ('make a project "Fire drill" with scenes Alarm, Exits and Meeting point', "Fire drill",
         ["Alarm", "Exits", "Meeting point"]),
        ("Mach ein Projekt Schulfest mit drei Szenen: Begrüßung, Programm und Abschied", "Schulfest",
         ["Begrüßung", "Programm", "Abschied"]),
    ],
)  # fmt: skip
async def test_a_project_is_made_with_the_scenes_that_are_named(
    talk: Conversing, sentence: str, title: str, scenes: list[str]
) -> None:
    question = offer(await talk.say(sentence))
    assert title in question and all(one in question for one in scenes)
    assert calls(await talk.say("yes")) == ["edit_project"] * 4


async def test_numbered_texts_are_the_scenes_of_a_film(talk: Conversing) -> None:
    await say(talk, 'Leg ein Projekt "Elternabend" an', "Wir brauchen ein Video über den Elternabend")
    question = offer(await talk.say('Szene 1: "Willkommen." Szene 2: "Wir treffen uns um sieben."'))
    assert "„Willkommen.“" in question and "„Wir treffen uns um sieben.“" in question
    assert calls(await talk.say("ja")) == ["edit_project", "edit_project", "make_render"]


@pytest.mark.parametrize(
    "asks", ["which scenes are there now", "how many scenes do we have", "welche Szenen gibt es"]
)
async def test_the_scenes_of_the_project_are_listed(talk: Conversing, asks: str) -> None:
    await talk.say("show me the summer fair project")
    assert "Goodbye." in words(await talk.say(asks))


@pytest.mark.parametrize(
    ("sentence", "scene", "changed"),
    [
        ("let vera do the last one", "last", {"persona": "Vera"}),
        ("Szene 2 bitte mit Milo", "2", {"persona": "Milo"}),
        ("lass Zuri die erste Szene sprechen", "1", {"persona": "Zuri"}),
    ],
)
async def test_a_scene_gets_another_presenter(
    talk: Conversing, sentence: str, scene: str, changed: dict[str, str]
) -> None:
    await talk.say("show me the summer fair project")
    found = last_call(await talk.say(sentence))
    assert found["scene"] == scene and found.items() >= changed.items()


async def test_the_scene_that_was_shown_is_changed(talk: Conversing) -> None:
    await say(talk, "show me the summer fair project", "show scene 2")
    assert last_call(await talk.say("change its text to See you next year"))["script"] == "See you next year"
    found = last_call(await talk.say("and the presenter to leo"))
    assert (found["scene"], found["persona"]) == ("2", "Leo")


@pytest.mark.parametrize("order", ["render it in 720p", "render the project vertical with captions"])
async def test_a_project_is_rendered_with_a_look(talk: Conversing, order: str) -> None:
    await talk.say("show me the summer fair project")
    assert calls(await talk.say(order)) == ["edit_project", "make_render"]


@pytest.mark.parametrize(
    ("order", "script", "clock"),
    [
        ("schedule a video for friday 9am: Nova says TGIF", "TGIF", "09:00"),
        ("plan: every day at 7 Nova says Good morning team", "Good morning team", "07:00"),
        ("plane ein Video für Freitag um 9: Nova sagt Endlich Wochenende", "Endlich Wochenende", "09:00"),
    ],
)
async def test_the_time_of_a_plan_stands_in_front_of_its_words(
    talk: Conversing, order: str, script: str, clock: str
) -> None:
    assert clock in offer(await talk.say(order))
    [step] = last_call(await talk.say("yes"))["steps"]
    assert step["calls"][0]["arguments"]["script"] == script


@pytest.mark.parametrize(
    "sentences",
    [
        ("zeig mir Tides", "mach davon eine version mit untertiteln"),
        ("show me Tides", "make a version of it with captions"),
        ("show me Tides", "nenn es um in Ebbe und Flut"),
    ],
)
async def test_a_version_of_the_video_that_was_shown_is_offered(
    talk: Conversing, sentences: tuple[str, ...]
) -> None:
    assert "Tides" in offer(await say(talk, *sentences))


@pytest.mark.parametrize(
    ("sentence", "title"),
    [
        ("kopiere das Projekt Summer fair", None),
        ("duplicate the summer fair project as Winter fair", "Winter fair"),
        ("mach eine Kopie vom Projekt Summer fair namens Herbstfest", "Herbstfest"),
    ],
)
async def test_a_project_is_copied(talk: Conversing, sentence: str, title: str | None) -> None:
    copied = last_call(await talk.say(sentence))
    assert (copied["action"], copied.get("title")) == ("copy", title)


async def test_it_asks_which_project_shall_be_copied(talk: Conversing) -> None:
    offer(await talk.say("mach eine Kopie vom Projekt"))
    assert last_call(await talk.say("Summer fair"))["action"] == "copy"


async def test_a_title_ends_before_what_follows(talk: Conversing) -> None:
    assert "What should be said?" in words(
        await talk.say("add a new scene to Summer fair between start and end")
    )
    assert last_call(await talk.say("There will be cake."))["project"] == "Summer fair"
    assert "scene 2" in offer(await talk.say("move the cake scene to the front"))


@pytest.mark.parametrize(
    ("sentence", "title"),
    [
        ("das kaputte kann weg", "Bridge"),
        ("throw out the one with Milo", "Bridge"),
        ("das von Vera brauch ich doch nicht", "Museum"),
    ],
)
async def test_a_video_is_named_by_what_it_is(talk: Conversing, sentence: str, title: str) -> None:
    assert title in offer(await talk.say(sentence))


async def test_a_video_is_shown_by_its_presenter(talk: Conversing) -> None:
    assert "Museum" in words(await talk.say("zeig mir das von Vera"))
    assert "Vera" in words(await talk.say("who is speaking in that video"))


@pytest.mark.parametrize(
    "sentence", ["show me the volcano video", "lösch das Brückenvideo", "zeig mir das Brückenvideo"]
)
async def test_a_title_that_nobody_knows_is_not_the_newest_video(talk: Conversing, sentence: str) -> None:
    assert calls(await talk.say(sentence)) == []


@pytest.mark.parametrize("sentence", ["which videos are with Milo", "welche Videos sind von Milo"])
async def test_the_videos_of_a_presenter_are_listed(talk: Conversing, sentence: str) -> None:
    listed = words(await talk.say(sentence))
    assert "Bridge" in listed and "Tides" not in listed
    also = words(await talk.say("what about Vera"))
    assert "Museum" in also and "Bridge" not in also


async def test_a_video_is_renamed_by_its_title(talk: Conversing) -> None:
    question = offer(await talk.say("rename Tides to Ebb and Flow"))
    assert "“Tides”" in question and "“Ebb and Flow”" in question
    assert "“The Sea”" in offer(await talk.say("call it The Sea instead"))


@pytest.mark.parametrize(
    "sentence", ["I want to change the text of the Museum video", "there's a typo in the Museum video"]
)
async def test_other_words_of_a_video_are_asked_for(talk: Conversing, sentence: str) -> None:
    assert "What should Vera say?" in words(await talk.say(sentence))
    film = last_call(await talk.say("it should say: The museum is closed today."))
    assert (film["title"], film["persona"], film["script"]) == (
        "Museum",
        "vera",
        "The museum is closed today.",
    )


@pytest.mark.parametrize(
    ("sentence", "reply"),
    [
        ("what formats can i download", ".srt"),
        ("how do I add a machine", "boot network"),
        ("Wie füge ich eine neue Maschine hinzu", "Startnetz"),
        ("what languages can you speak", "English or German"),
        ("hello, what is this", "I make videos"),
        ("delete everything", "what you name"),
        ("i need 3 videos for our homepage", "one video at a time"),
        ("can you put pauses between the sentences", "[pause"),
        ("welche jobs kann ich starten", "render"),
        ("the video is too long, can you cut it", "as long as its words"),
        ("I need a clip about volcanoes, what can you do?", "in your own words"),
    ],
)
async def test_a_question_is_answered(talk: Conversing, sentence: str, reply: str) -> None:
    events = await talk.say(sentence)
    assert calls(events) == [] and reply in words(events)


async def test_what_somebody_goes_on_to_tell_is_remembered(talk: Conversing) -> None:
    await talk.say("remember that the head of the council is Mrs Kaya")
    assert last_call(await talk.say("und der Kassenwart ist Herr Lindner"))["text"].endswith("Herr Lindner")
    question = words(await talk.say("what else do you remember"))
    assert "Kaya" in question and "Lindner" in question


async def test_a_video_that_failed_is_offered_again(talk: Conversing) -> None:
    await talk.say("why did the bridge video fail")
    assert "“Bridge” again" in offer(await talk.say("can you fix it"))


@pytest.mark.parametrize("order", ["turn off atlas", "schalte atlas aus"])
async def test_a_lone_cancel_after_a_machine_cancels_no_video(talk: Conversing, order: str) -> None:
    await talk.say(order)
    assert calls(await talk.say("cancel")) == []


async def test_a_scene_is_added_to_no_project_that_was_not_spoken_of(talk: Conversing) -> None:
    assert calls(await talk.say("add another scene to it")) == []


@pytest.mark.parametrize("sentence", ["asdf qwer", "hjkl fghj zuio", "fjord qux zap"])
async def test_words_that_nobody_knows_are_not_understood(talk: Conversing, sentence: str) -> None:
    events = await talk.say(sentence)
    assert [one.code for one in events if isinstance(one, Failure)] == ["agent.not_understood"]


@pytest.mark.parametrize("sentence", ["shwo vidoes", "Tides bitte"])
async def test_misspelt_words_and_names_are_known(talk: Conversing, sentence: str) -> None:
    assert calls(await talk.say(sentence)) != []
