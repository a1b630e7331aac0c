"""Marks in scripts: what is said, what is stressed, what pauses, what is reported."""

import pytest
from avatar.speech.markup import MAX_PAUSE_MS, parse_script


@pytest.mark.parametrize(
    ("mark", "pause_ms"),
    [
        ("[pause 500ms]", 500),
        ("[pause 0.5s]", 500),
        ("[Pause]", 500),
        ("[pause: 2 s]", 2000),
        ("[pause 1,5s]", 1500),
    ],
)
def test_a_pause_parts_two_passages_and_lasts_as_long_as_written(mark: str, pause_ms: int) -> None:
    script = parse_script(f"one two{mark}three")
    assert [passage.pause_ms for passage in script.passages] == [pause_ms, 0]
    assert [token.text for token in script.tokens] == ["one", "two", "three"]
    assert script.notes == ()


def test_pauses_in_a_row_add_up_and_may_open_or_end_the_script() -> None:
    script = parse_script("[pause 100ms] [pause 200ms] word [pause 300ms]")
    assert [(len(passage.tokens), passage.pause_ms) for passage in script.passages] == [(0, 300), (1, 300)]


def test_a_pause_of_hours_becomes_a_minute_and_a_note() -> None:
    script = parse_script("a [pause 9000s] b")
    assert script.passages[0].pause_ms == MAX_PAUSE_MS
    assert [note.code for note in script.notes] == ["speech.pause_shortened"]


def test_stars_stress_words_and_are_not_part_of_them() -> None:
    script = parse_script("this is *very important*, and **so** is this")
    assert [token.text for token in script.tokens if token.emphasis] == ["very", "important,", "so"]
    assert "*" not in script.text


@pytest.mark.parametrize("text", ["5 * 3 * 2", "snake*case*name", "a * b", "\\*kept\\*"])
def test_stars_that_stress_nothing_stay_in_the_text(text: str) -> None:
    script = parse_script(text)
    assert script.text == text.replace("\\", "")
    assert not script.has_emphasis


@pytest.mark.parametrize(
    "mark",
    [
        "[laugh]",
        "[whisper softly]",
        "<blink time='1s'/>",
        "<mstts:express-as style='sad'>",
        "[pause soon]",
        "<lang\n xml:lang = 'fr-FR'>",
        "<Audio src=“https://example.com/a.mp3”/>",
    ],
)
def test_unknown_marks_are_left_out_and_reported(mark: str) -> None:
    script = parse_script(f"hello {mark} world")
    assert script.text == "hello world"
    assert len(script.passages) == 1
    assert [note.code for note in script.notes] == ["speech.markup_unsupported"]
    assert mark in script.notes[0].message


def test_a_thousand_unknown_marks_make_a_handful_of_notes() -> None:
    script = parse_script(" ".join(f"word [mark{number}]" for number in range(1000)))
    assert len(script.notes) == 6
    assert "995 more" in script.notes[-1].message


def test_brackets_and_comparisons_that_are_no_marks_are_text() -> None:
    assert parse_script("see \\[note], x < y and [1] or 3 > 2").text == "see [note], x < y and [1] or 3 > 2"


def test_lone_punctuation_belongs_to_its_neighbour_so_that_captions_stay_verbatim() -> None:
    script = parse_script("… wait — what ?")
    assert [token.text for token in script.tokens] == ["… wait —", "what ?"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "[laugh]", "[pause 2s]", "\x00\x07"])
def test_a_script_without_words_has_no_tokens(text: str) -> None:
    assert parse_script(text).tokens == ()


def test_control_characters_and_lone_surrogates_never_reach_an_engine() -> None:
    text = parse_script("one\x00two \ud800three\r\nfour").text
    assert text == "one two three four"


def test_a_hundred_thousand_characters_of_brackets_are_read_in_time() -> None:
    for text in ("[" * 100_000, "*a" * 50_000, "<a " * 33_000, "[pause " * 14_000, "\n \n" * 33_000):
        parse_script(text)
