"""Captions are short enough to read, long enough to see, and never overlap."""

import random
import unicodedata
from itertools import pairwise

import pytest
from avatar.compose.cues import MAX_CUE_MS, MIN_CUE_MS, READABLE_CPS, make_cues
from avatar.compose.phrases import columns
from avatar.spec.sentences import is_abbreviation
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


def test_lines_are_parted_by_sense_and_of_about_one_length():
    [cue] = make_cues(words_of("This sentence is just a little longer than one line"), 20000)
    assert cue.lines == ("This sentence is just", "a little longer than one line")


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


def test_a_short_cue_stays_for_a_moment_or_shares_one():
    cue = make_cues([Word("No.", 500, 700)], 5000)[0]
    assert cue.end_ms - cue.start_ms == MIN_CUE_MS
    crowded = make_cues([Word("No.", 500, 700), Word("Yes.", 900, 1100)], 5000)
    assert [cue.lines for cue in crowded] == [("No. Yes.",)]


def speak_steadily(text: str, columns_per_second: float = 15.0):
    """Words of a steady voice, with a pause behind each sentence."""
    words, now = [], 300
    for token in text.split():
        length = round(1000 * (columns(token) + 1) / columns_per_second)
        words.append(Word(token, now, now + length))
        now += length + (500 if token[-1] in ".?!" else 0)
    return words


TALK = (
    "Prof. Lee lives at 12 Elm Rd. in Bath, e.g. near the river. She paid £2,750.80 to Dr. J. Smith Jr. "
    "on Mon. morning. Why? Nobody knows. The tides of the sea follow the moon, which pulls at the water "
    "on the near side of the earth more strongly than at its centre, and so a bulge of water stands below "
    "it all the time. A second bulge stands on the far side. Mr. Brown measured 3.5 m at St. Malo vs. 0.3 "
    "m in the Baltic approx. ten miles away, i.e. far less. Yes. No. It depends on the shape of the "
    "coast, on the depth of the water, and on the wind, as everybody who has ever lived near the sea for "
    "long can tell you without any table."
)
NEVER_LAST = {
    "Prof.",
    "Rd.",
    "e.g.",
    "Dr.",
    "J.",
    "Jr.",
    "Mon.",
    "Mr.",
    "St.",
    "vs.",
    "approx.",
    "i.e.",
    "3.5",
}


def test_no_cue_ends_in_an_abbreviation_and_all_can_be_read():
    words = speak_steadily(TALK)
    cues = make_cues(words, words[-1].end_ms + 800)
    assert " ".join(line for cue in cues for line in cue.lines) == TALK
    last_words = [cue.lines[-1].split()[-1] for cue in cues]
    assert not NEVER_LAST & set(last_words)
    line_ends = [line.split()[-1].casefold() for cue in cues for line in cue.lines]
    assert not {"the", "a", "of", "at", "prof.", "mr."} & set(line_ends)
    for cue in cues:
        assert MIN_CUE_MS <= cue.end_ms - cue.start_ms <= MAX_CUE_MS
        assert cue.columns_per_second <= READABLE_CPS


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ja", "潮の満ち引きは月の引力によって起こります。地球の反対側にも水の山ができます。"),
        ("zh", "潮汐主要由月球的引力引起，太阳也有影响。每天有两次涨潮，两次落潮。"),
        ("th", "น้ำขึ้นน้ำลงเกิดจากแรงดึงดูดของดวงจันทร์และดวงอาทิตย์ที่กระทำต่อโลก"),
    ],
)
def test_scripts_without_spaces_are_parted_by_phrases(language: str, text: str):
    words = [Word(text, 300, 300 + 1000 * columns(text) // 12)]
    cues = make_cues(words, words[0].end_ms + 500, max_chars=24, language=language)
    assert "".join(line for cue in cues for line in cue.lines) == text
    assert len(cues) > 1 and all(len(cue.words) > 1 for cue in cues)
    for line in (line for cue in cues for line in cue.lines):
        assert columns(line) <= 24
        assert line[0] not in "。，、ๆะาิีึืุู็่้๊๋์" and unicodedata.category(line[0]) != "Mn"
    for cue in cues:
        assert MIN_CUE_MS <= cue.end_ms - cue.start_ms <= MAX_CUE_MS


@pytest.mark.parametrize(
    ("word", "following", "is_one"),
    [
        ("Prof.", "Lee", True), ("Rd.", "in", True), ("Rd.", "The", False), ("e.g.", "near", True),
        ("U.S.", "and", True), ("U.S.", "But", False), ("z.B.", "morgen", True), ("etc.", None, False),
        ("end.", "he", False), ("J.", "Smith", True), ("wait...", "Prof", False),
    ],
)  # fmt: skip
def test_a_full_stop_is_an_abbreviation_s_where_the_sentence_goes_on(word, following, is_one):
    assert is_abbreviation(word, following) == is_one


def test_wide_letters_count_twice_and_marks_not_at_all():
    assert columns("日本") == 4
    assert columns("é") == columns("é") == 1
    assert columns("नमस्ते") < len("नमस्ते")


def test_a_word_longer_than_a_line_is_cut_and_kept():
    url = "https://example.org/" + "a" * 60
    lines = [line for cue in make_cues(words_of(url), 20000) for line in cue.lines]
    assert "".join(lines) == url
    assert all(columns(line) <= 42 for line in lines)


def test_right_to_left_words_stay_in_the_order_they_are_said():
    words = words_of("مرحبا بالعالم هذا اختبار.")
    assert make_cues(words, 20000)[0].lines == ("مرحبا بالعالم هذا اختبار.",)


def test_no_words_make_no_cues():
    assert make_cues([], 1000) == []


def test_no_caption_holds_words_of_two_speakers():
    words = words_of("Is it high? Yes it is and now good night", per_letter_ms=30)
    together = make_cues(words, words[-1].end_ms + 200)
    assert len(together) == 1
    cues = make_cues(words, words[-1].end_ms + 200, turns=(3, 6))
    assert [" ".join(cue.lines) for cue in cues] == ["Is it high?", "Yes it is", "and now good night"]
