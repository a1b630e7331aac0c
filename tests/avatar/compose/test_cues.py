"""Captions are short enough to read, long enough to see, and never overlap."""

import random
from itertools import pairwise

import pytest
from avatar.compose.cues import break_lines, columns, make_cues
from avatar.tracks import Word


def words_of(
    text: str, start_ms: int = 300, per_letter_ms: int = 60, pause_after: dict[str, int] | None = None
):
    words, now = [], start_ms
    for token in text.split():
        length = max(80, per_letter_ms * len(token))
        words.append(Word(token, now, now + length))
        now += length + 40 + (pause_after or {}).get(token, 0)
    return words


def test_a_sentence_is_a_cue_with_the_times_of_its_words():
    words = words_of("Hello, I am Nova. This is a short test.", pause_after={"Nova.": 500})
    cues = make_cues(words, words[-1].end_ms + 2000)
    assert [cue.lines for cue in cues] == [("Hello, I am Nova.",), ("This is a short test.",)]
    assert cues[0].start_ms == words[0].start_ms
    assert cues[1].start_ms == words[4].start_ms


def test_a_long_sentence_is_cut_at_a_comma_and_no_word_is_lost():
    text = (
        "When the machines in the cold room wake up before the sun, one after the other, "
        "they ask for an address, receive a picture of themselves and begin to work."
    )
    words = words_of(text)
    cues = make_cues(words, words[-1].end_ms + 500)
    assert len(cues) > 1
    assert " ".join(line for cue in cues for line in cue.lines) == text
    assert all(cue.lines[-1].endswith((",", ".")) for cue in cues)


def test_a_pause_without_a_full_stop_ends_a_cue():
    words = words_of("first part second part", pause_after={"part": 900})
    assert [cue.lines for cue in make_cues(words, 9000)] == [("first part",), ("second part",)]


def test_lines_are_balanced():
    lines = break_lines(
        ["This", "sentence", "is", "just", "a", "little", "longer", "than", "one", "line"], 42, 2
    )
    assert len(lines) == 2
    assert abs(len(lines[0]) - len(lines[1])) <= 6


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_said_cues_fit_follow_each_other_and_keep_every_word(seed):
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    tokens = []
    for _ in range(300):
        token = "".join(chance.choices("abcdefghij", k=chance.choice((1, 3, 5, 8, 13))))
        tokens.append(token + chance.choice(("", "", "", "", ",", ".", "?")))
    words = words_of(" ".join(tokens), per_letter_ms=chance.choice((15, 60, 200)))
    total = words[-1].end_ms + chance.choice((0, 700))
    cues = make_cues(words, total)
    assert " ".join(line for cue in cues for line in cue.lines) == " ".join(tokens)
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(columns(line) <= 42 for line in cue.lines)
        assert 0 <= cue.start_ms < cue.end_ms <= total
    for cue, following in pairwise(cues):
        assert cue.end_ms <= following.start_ms


def test_a_short_cue_stays_for_a_second_where_there_is_room():
    cue = make_cues([Word("No.", 500, 700)], 5000)[0]
    assert cue.end_ms - cue.start_ms == 1000
    crowded = make_cues([Word("No.", 500, 700), Word("Yes.", 900, 1100)], 5000)
    assert crowded[0].end_ms == 900


def test_wide_letters_count_twice_and_marks_not_at_all():
    assert columns("日本") == 4
    assert columns("é") == columns("é") == 1
    assert columns("नमस्ते") < len("नमस्ते")


def test_a_word_longer_than_a_line_is_cut_and_kept():
    url = "https://example.org/" + "a" * 60
    lines = break_lines([url], 42, 2)
    assert "".join(lines) == url
    assert all(columns(line) <= 42 for line in lines)


def test_right_to_left_words_stay_in_the_order_they_are_said():
    words = words_of("مرحبا بالعالم هذا اختبار.")
    assert make_cues(words, 20000)[0].lines == ("مرحبا بالعالم هذا اختبار.",)


def test_no_words_make_no_cues():
    assert make_cues([], 1000) == []
