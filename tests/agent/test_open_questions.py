"""An open question is left by whatever is no answer to it: nothing of it is spoken, named or remembered."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.interpreter import Interpreter
from agent.understanding.trained import load_reader
from agent.understanding.world import World
from bench.nlu_evaluation.cases import read_world

NOW = datetime(2026, 11, 23, 10, 0)
FILM = CallRecord("make_render", {"persona": "Nova", "script": "Welcome to the lab."})
QUESTIONS = {
    "script": Question("missing", "make_render", {"persona": "Vera"}, ("script", "project")),
    "scene script": Question(
        "missing", "edit_project.add_scene", {"project": "Harbour tour"}, ("title", "script")
    ),
    "scene change": Question(
        "missing",
        "edit_project.change_scene",
        {"project": "Harbour tour", "scene": "2"},
        ("script", "title", "persona", "heading", "background", "pace"),
    ),
    "topic": Question("missing", "write_script.film", {}, ("topic", "text", "from_memory")),
    "memory": Question("missing", "memory.remember", {}, ("text",)),
    "forget": Question("missing", "memory.forget", {}, ("about", "everything")),
    "project name": Question("missing", "edit_project.create", {}, ("title",)),
    "new name": Question("missing", "edit_project.rename", {"project": "Harbour tour"}, ("title",)),
    "presenter name": Question(
        "missing", "create_persona.change", {"persona": "Nova"}, ("name", "title", "description")
    ),
    "snapshot": Question("missing", "snapshots.save", {}, ("name",)),
    "presenter": Question("missing", "create_persona.change", {}, ("persona",)),
    "project": Question("missing", "edit_project.delete", {}, ("project",)),
    "scene": Question("missing", "edit_project.delete_scene", {"project": "Harbour tour"}, ("scene",)),
    "video": Question("missing", "cancel_render.delete", {}, ("render",)),
    "machine": Question("missing", "change_machine.drain", {}, ("machine",)),
    "job": Question("missing", "job_logs", {}, ("job",)),
    "count": Question("missing", "change_job.scale", {"job": "tts"}, ("count",)),
}
SENTENCES = (
    "undo",
    "undo that please",
    "take that back",
    "mach das rückgängig",
    "nimm das bitte zurück",
    "thanks!",
    "danke",
    "yes",
    "ja",
    "ok",
    "never mind",
    "vergiss es",
    "how many videos do I have now?",
    "wie viele Videos habe ich jetzt?",
    "which presenter did you use?",
    "welche Figuren gibt es?",
    "remove the last one",
    "the second one should be slower",
    "can she talk a bit slower please, they are 10 years old",
    "kann sie das bitte etwas langsamer sprechen",
    "I don't like the background",
    "das gefällt mir nicht",
    "put subtitles under the video",
    "mach bitte Untertitel unter das Video",
    'change "supervisor" to "shift leader"',
    "what do you mean?",
    "was meinst du damit?",
    "what did you just do?",
    "warum fragst du?",
    "how do I publish a video?",
)
ANSWERS = {
    "script": ("Welcome to our open day.", "Bitte setzen Sie die Schutzbrille auf."),
    "topic": ("photosynthesis", "wie Vulkane entstehen"),
    "memory": ("our class is called 4b",),
    "project name": ("Safety training", "Sommerfest 2027"),
    "new name": ("Night school",),
    "snapshot": ("before lunch",),
    "project": ("Lab safety",),
    "scene": ("the second one", "3"),
    "machine": ("atlas",),
    "count": ("three",),
}


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    return Interpreter(reader)


@pytest.fixture(scope="module")
def world(interpreter: Interpreter) -> World:
    return read_world(frozenset(interpreter.reader.common_words))


def decide(interpreter: Interpreter, world: World, question: Question, sentence: str) -> Decision | None:
    dialogue = Dialogue(calls=(FILM,), film=FILM, last={"render": "Welcome clip"}, question=question)
    return interpreter.answer(sentence, world, dialogue, NOW)


def is_answer(question: Question, sentence: str) -> bool:
    """Returns whether a sentence answers the question which thing goes, or how it shall sound."""
    names_thing = sentence == "remove the last one" and "delete" in question.intent
    return names_thing or ("langsamer" in sentence and "pace" in question.missing)


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_no_answer_is_not_taken_as_one(interpreter: Interpreter, world: World, name: str) -> None:
    taken = {
        sentence: answered.calls
        for sentence in SENTENCES
        if (answered := decide(interpreter, world, QUESTIONS[name], sentence)) is not None
        and answered.calls
        and not is_answer(QUESTIONS[name], sentence)
    }
    assert taken == {}


@pytest.mark.parametrize(
    ("name", "sentence"), [(name, one) for name, some in ANSWERS.items() for one in some]
)
def test_what_is_an_answer_is_taken(interpreter: Interpreter, world: World, name: str, sentence: str) -> None:
    answered = decide(interpreter, world, QUESTIONS[name], sentence)
    assert answered is not None
    assert [call.intent for call in answered.calls] == [QUESTIONS[name].intent], answered


@pytest.mark.parametrize("name", ["script", "scene script", "memory"])
def test_of_a_text_that_may_be_a_question_it_is_asked(
    interpreter: Interpreter, world: World, name: str
) -> None:
    decision = decide(interpreter, world, QUESTIONS[name], "Are you ready for summer?")
    assert decision is not None and decision.question is not None
    assert not decision.calls
    assert "Are you ready for summer?" in decision.question.choices[0].arguments.values()


@pytest.mark.parametrize("name", ["project name", "snapshot"])
@pytest.mark.parametrize("sentence", ["thank you so much", "vielen lieben Dank dir"])
def test_longer_thanks_are_no_name(interpreter: Interpreter, world: World, name: str, sentence: str) -> None:
    assert decide(interpreter, world, QUESTIONS[name], sentence) is None
