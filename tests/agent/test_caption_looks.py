"""Captions get another size and place by a sentence; for their colour and font it says that it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from avatar.spec import Captions, CaptionStyle
from conversing import Conversing, calls

from agent.tools.looks import captions_of
from agent.understanding.changes import look_of, says_only_look
from app.composition import Services


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


async def newest_captions(talk: Conversing) -> dict[str, Any]:
    [newest] = await talk.services.studio.renders.list(limit=1)
    detail = await talk.services.studio.renders.detail(newest.id)
    found: dict[str, Any] = detail.spec.model_dump()["output"]["captions"]
    return found


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("bigger captions", {"caption_size": "large"}),
        ("can you make the subtitles a bit larger, please?", {"caption_size": "large"}),
        ("the captions are too big", {"caption_size": "small"}),
        ("captions at the top", {"caption_place": "top"}),
        ("put the captions in the middle", {"caption_place": "middle"}),
        ("größere Untertitel", {"caption_size": "large"}),
        ("mach die Untertitel kleiner", {"caption_size": "small"}),
        ("Untertitel bitte oben", {"caption_place": "top"}),
        ("setz die Untertitel nach unten", {"caption_place": "bottom"}),
    ],
)
def test_words_for_the_size_and_the_place(text: str, look: dict[str, str]) -> None:
    assert look_of(text) == look
    assert says_only_look(text)


def test_only_what_is_named_changes() -> None:
    before = Captions(mode="both", colour="#ffff00", style=CaptionStyle(highlight="#ff0000"))
    found = captions_of(before, None, "large", "top")
    assert (found.mode, found.colour, found.style.highlight) == ("both", "#ffff00", "#ff0000")
    assert found.style.size > before.style.size and found.style.place == "top"
    assert captions_of(before, "none", None, None) == before.model_copy(update={"mode": "none"})
    assert captions_of(Captions(), None, "small", None).mode == "burned"


async def test_the_last_video_is_made_with_other_captions(talk: Conversing) -> None:
    await talk.say("make a video where Nova says: Hello there.")
    assert calls(await talk.say("bigger captions")) == ["cancel_render", "make_render"]
    await talk.say("Untertitel bitte oben")
    captions = await newest_captions(talk)
    style = captions["style"]
    assert (captions["mode"], style["size"], style["place"]) == ("burned", 0.064, "top")
    assert await talk.told("captions at the top") == "It looks so already."


async def test_the_captions_of_a_project_keep_the_rest_of_their_style(talk: Conversing) -> None:
    await talk.say("Create a project called Tides from this text: One.")
    assert "captions are burned and captions are large now" in await talk.told("bigger captions")
    assert "sind die Untertitel jetzt oben." in await talk.told("setz die Untertitel nach oben")
    await talk.say("captions as a file")
    output = (await talk.services.studio.projects.get("tides")).output
    assert (output.captions.mode, output.captions.style.size) == ("soft", 0.064)
    assert output.captions.style.place == "top"


@pytest.mark.parametrize(
    "text", ["make the captions yellow", "change the font of the captions", "gelbe Untertitel"]
)
async def test_colour_and_font_are_refused_by_name(talk: Conversing, text: str) -> None:
    await talk.say("make a video where Nova says: Hello there.")
    events = await talk.say(text)
    assert calls(events) == []
    assert "cannot change the colour" in str(events) or "Farbe und Schrift" in str(events)
