"""The automaton of sentences that can be spoken, and the recogniser that listens for them."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hassil import Intents
from spoken_words import silence, speech, with_noise

from agent.understanding.grammar import load_templates
from agent.voice.pronunciations import dictionary, number_words
from agent.voice.spoken_grammar import SpokenGrammar, build_grammar

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from agent.voice.recogniser import CEPSTRAL_MEAN, CommandRecogniser
from agent.voice.worker.rivals import find_choice
from agent.voice.worker.service import templates_of_speech
from agent.voice.worker.sureness import CHANGING, READING, confidence_needed

NAMES = {"persona": ["Nova", "Milo"], "project": ["Tides"]}


def grammar_of(*templates: str, lists: dict[str, list[str]] | None = None) -> SpokenGrammar:
    intents = Intents.from_dict(
        {
            "language": "en",
            "lists": {name: {"values": values} for name, values in (lists or {}).items()}
            | {"persona": {"wildcard": True}, "script": {"wildcard": True}},
            "expansion_rules": {"polite": "(please|could you)"},
            "intents": {"One": {"data": [{"sentences": list(templates)}]}},
        }
    )
    return build_grammar(intents, (), NAMES, lambda _: True)


@pytest.mark.parametrize(
    ("template", "complete", "others"),
    [
        (
            "[please] show my video[s]",
            ["show my videos", "please show my video"],
            ["show my", "show my video s"],
        ),
        ("<polite> (stop|cancel) it", ["could you cancel it"], ["stop it", "please stop cancel it"]),
        ("let {persona} speak", ["let nova speak", "let milo speak"], ["let speak", "let vera speak"]),
        ("scene {1..3:number}", ["scene 2"], ["scene 4"]),
        ("make it {look}", ["make it square"], ["make it"]),
    ],
)
def test_templates_become_the_sentences_that_they_stand_for(
    template: str, complete: list[str], others: list[str]
) -> None:
    grammar = grammar_of(template, lists={"look": ["square", "tall"]})
    assert [text for text in complete if not grammar.is_complete(text)] == []
    assert [text for text in others if grammar.is_complete(text)] == []


def test_a_template_with_free_text_is_left_out_and_others_stay() -> None:
    grammar = grammar_of("say {script}", "say it again")
    assert grammar.words == {"say", "it", "again"}
    assert grammar.is_complete("say it again") and not grammar.is_complete("say")


def test_equal_beginnings_and_ends_share_states() -> None:
    grammar = grammar_of("show my videos", "show my projects", "list my videos")
    # show|list, my, and one end: what may follow “list my” is less than what may follow “show my”.
    assert len(grammar.states) == 6
    assert len(grammar.ends) == 1


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("7", "seven"),
        ("24", "twenty four"),
        ("480", "four eighty"),
        ("1080", "ten eighty"),
        ("300", "three hundred"),
    ],
)
def test_numbers_are_pronounced_as_people_say_them(digits: str, words: str) -> None:
    assert number_words(digits) == words.split()


def test_words_that_no_dictionary_has_are_spelt_or_unknown() -> None:
    known = dictionary()
    assert known.pronounce("480p") == known.pronounce("four") + " " + known.pronounce("eighty") + " P IY"  # type: ignore[operator]
    assert known.knows("gpu") and not known.knows("xqzzvrt")


def test_numbers_and_plurals_of_letters_have_all_their_pronunciations() -> None:
    known = dictionary()
    assert {"S EH V AH N T W EH N T IY P IY", "S EH V AH N HH AH N D R AH D T W EH N IY P IY"} <= set(
        known.pronunciations("720p")
    )
    assert known.pronounce("gpus") == f"{known.pronounce('gpu')} Z"
    assert known.pronunciations("to") == ["T UW", "T IH", "T AH"]


@pytest.fixture(scope="module")
def whole() -> SpokenGrammar:
    return build_grammar(load_templates(), templates_of_speech(), NAMES, dictionary().knows)


@pytest.fixture(scope="module")
def recogniser(whole: SpokenGrammar) -> CommandRecogniser:
    found = CommandRecogniser()
    found.load(whole)
    return found


@pytest.mark.parametrize("voice", ["slt", "rms"])
@pytest.mark.parametrize(
    "text",
    [
        *("which machines do we have", "reload the persona nova", "what can you do"),
        *("who can speak", "who are you", "list my projects"),
    ],
)
def test_a_command_is_recognised_while_it_is_spoken(
    recogniser: CommandRecogniser, text: str, voice: str
) -> None:
    sound = silence(0.3) + speech(text, voice) + silence(0.3)
    recogniser.begin()
    partial = [recogniser.hear(sound[at : at + 3200]) for at in range(0, len(sound), 3200)]
    result = recogniser.end()
    assert (result.text, result.is_accepted) == (text, True)
    assert len(set(partial)) > 2
    assert [word.text for word in result.words] == text.split()
    times = [time for word in result.words for time in (word.start_ms, word.end_ms)]
    assert times == sorted(times) and 200 < times[0] < times[-1] < len(sound) / 32


@pytest.mark.parametrize("text", ["the weather is lovely today", "he said he would call back later"])
def test_an_everyday_sentence_is_no_command(recogniser: CommandRecogniser, text: str) -> None:
    sound = silence(0.3) + speech(text) + silence(0.3)
    recogniser.begin()
    recogniser.hear(sound)
    assert not recogniser.end().is_accepted


def test_a_mean_of_another_room_is_noticed_and_replaced(recogniser: CommandRecogniser) -> None:
    recogniser.begin("20,40,-30,20,-20,20,-20,20,0,0,0,0,0")
    recogniser.hear(silence(0.3) + speech("which machines do we have") + silence(0.3))
    recogniser.end()
    after = [float(one) for one in recogniser.cepstral_mean.split(",")]
    usual = [float(one) for one in CEPSTRAL_MEAN.split(",")]
    assert math.dist(after, usual) < 40


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("which machines do we have", READING),
        ("what can you do", READING),
        ("yes please", READING),
        ("delete the last video", CHANGING),
        ("reload the persona nova", CHANGING),
    ],
)
def test_what_changes_something_needs_more_confidence(text: str, needed: float) -> None:
    assert confidence_needed(text) == needed


def test_variants_are_whole_sentences_that_differ_in_one_word() -> None:
    grammar = grammar_of("(reload|remove) the persona {persona}", "reload it")
    assert sorted(grammar.variants("reload the persona nova")) == [
        ("reload the persona milo", "nova", "milo"),
        ("remove the persona nova", "reload", "remove"),
    ]
    assert list(grammar.variants("paint it")) == []


def test_a_word_whose_rival_of_another_meaning_is_near_is_asked_about(
    recogniser: CommandRecogniser, whole: SpokenGrammar
) -> None:
    text = "reload the persona milo"
    recogniser.begin()
    recogniser.hear(silence(0.3) + speech(text, "rms") + silence(0.3))
    clear = recogniser.end()
    assert clear.text == text and find_choice(recogniser, whole, clear) is None

    chance = random.Random(5)  # noqa: S311
    sound = with_noise(silence(0.3) + speech(text, "rms") + silence(0.3), 15, "pink", chance)
    recogniser.begin()
    recogniser.hear(sound)
    choice = find_choice(recogniser, whole, replace(recogniser.end(), text=text, confidence=0.9))
    assert choice is not None and choice.question == "Did you say reload or remove?"
    assert choice.meanings["remove"] == "remove the persona milo"

    answer = silence(0.3) + speech("reload", "rms") + silence(0.3)
    recogniser.begin(recogniser.cepstral_mean, choice.grammar)
    recogniser.hear(answer)
    assert choice.meanings[recogniser.end().text] == text


def test_after_a_choice_the_whole_grammar_is_heard_again(recogniser: CommandRecogniser) -> None:
    only = SpokenGrammar.of(["reload", "remove"])
    recogniser.begin(only=only)
    recogniser.hear(silence(0.3) + speech("which machines do we have") + silence(0.3))
    assert not recogniser.end().is_accepted
    again = recogniser.hear_all()
    assert (again.text, again.is_accepted) == ("which machines do we have", True)
