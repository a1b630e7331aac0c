"""“Help” is answered by an overview; a subject narrows it down."""

from __future__ import annotations

import re

import pytest
from conversing import Conversing, calls

from agent.answering.replies import Replies
from agent.brain import help_text
from agent.understanding import Grammar
from app.composition import Services

LANGUAGES = ("en", "de")
TOOLS = ("make_render", "make_render", "write_script", "list_personas", "health", "list_machines")
QUOTED = re.compile("[“„]([^“”„]+)[”“]")


@pytest.mark.parametrize("words", ["help", "what can you do?", "hi there, what can you do for me?"])
async def test_the_overview_fits_a_screen(services: Services, words: str) -> None:
    text = await Conversing(services).told(words)
    assert len(text.splitlines()) <= 12
    assert "Make a video" in text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_sentence_of_the_overview_is_understood(services: Services, language: str) -> None:
    overview = Replies.of(language).text("help", "overview")
    sentences = [one for one in QUOTED.findall(overview) if not one.startswith(("help", "Hilfe"))]
    talk = Conversing(services)
    for sentence, tool in zip(sentences, TOOLS, strict=True):
        events = await talk.say(sentence)
        if tool == "write_script" and not calls(events):
            # Nobody can write here: a film needs its words.
            events = await talk.say("The sea comes and goes.")
        assert calls(events)[-1:] == [tool], sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_subject_of_the_overview_narrows_it_down(grammar: Grammar, language: str) -> None:
    replies = Replies.of(language)
    whole = help_text(grammar.help, "everything", replies)
    listed = replies.text("help", "overview").splitlines()[-1].partition(":")[2]
    subjects = [one.split()[-1] for one in re.split(",| or ", re.sub("[“”„.]", "", listed)) if one.strip()]
    assert len(subjects) >= 9
    for subject in subjects:
        narrowed = help_text(grammar.help, subject, replies)
        assert replies.text("help", "subject") in narrowed, subject
        assert len(narrowed) < len(whole) / 2, subject


def test_a_subject_that_nothing_fits_gets_the_overview(grammar: Grammar) -> None:
    replies = Replies.of("en")
    assert help_text(grammar.help, "quux", replies) == replies.text("help", "overview")
