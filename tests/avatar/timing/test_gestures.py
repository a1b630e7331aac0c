"""Gestures and moods follow the words, the marks and the overlays; nothing jumps at the edges of a scene."""

import itertools

import numpy as np
import pytest
from avatar.spec import Scene
from avatar.spec.acting import mood_changes, read_acting_mark
from avatar.speech.markup import parse_script
from avatar.timing.acting import ActingMark, OverlaySide
from avatar.timing.eyes import blinks
from avatar.timing.gestures import LOWER_S, RAISE_S, gestures
from avatar.timing.head import at_edges
from avatar.timing.moods import EXPRESSIONS, expression_curves
from avatar.timing.style import MotionStyle
from avatar.tracks import GestureCue, Word
from pydantic import ValidationError

TALK = (
    "Hello everybody. Today I show you something extraordinary about volcanoes. First, the magma rises."
    " Second, gas escapes from cracks. Third, pressure builds until everything erupts! Why does that matter?"
    " Perhaps nobody knows. I think the mountains remember. Scientists measure temperature, movement and"
    " chemistry. Together these measurements become predictions that protect thousands of families."
)


def words_of(text: str, step_ms: int = 420) -> tuple[Word, ...]:
    return tuple(
        Word(word, 700 + k * step_ms, 700 + k * step_ms + 380) for k, word in enumerate(text.split())
    )


def choose(
    text: str = TALK, seed: int = 1, amount: float = 1.0, marks=(), overlays=()
) -> tuple[GestureCue, ...]:
    words = words_of(text)
    return gestures(words, marks, overlays, words[-1].end_ms / 1000 + 1.2, seed, amount)


@pytest.mark.parametrize("seed", range(6))
def test_no_gesture_comes_twice_in_a_row_and_each_has_time(seed: int) -> None:
    cues = choose(seed=seed)
    assert len(cues) >= 7
    assert all(one.name != after.name for one, after in itertools.pairwise(cues))
    assert all(cue.stroke_s < cue.release_s for cue in cues)
    assert all(one.release_s < after.stroke_s for one, after in itertools.pairwise(cues))
    assert cues[0].stroke_s >= RAISE_S
    assert cues[-1].release_s + LOWER_S <= words_of(TALK)[-1].end_ms / 1000 + 1.2


def test_greetings_wave_and_numbers_count() -> None:
    names = [cue.name for cue in choose()]
    assert names[0] == "wave"
    assert [name for name in names if name.startswith("count")] == ["count-1", "count-2", "count-3"]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Here is one more of the talks that we have", 0),
        ("Please do wait a second and then go on", 0),
        ("This is step one of the way up there", 1),
        ("The film has three scenes and that is all", 1),
    ],
)
def test_fingers_count_where_somebody_counts(text: str, counts: int) -> None:
    assert sum(cue.name.startswith("count") for cue in choose(text)) == counts


def test_a_greeting_in_the_first_moment_still_waves() -> None:
    words = (Word("Hello!", 300, 700), *words_of("we begin with the sea"))
    assert gestures(words, (), (), 5.0, 1, 1.0)[0].name == "wave"


def test_the_same_seed_gives_the_same_gestures() -> None:
    assert choose(seed=3) == choose(seed=3)
    assert len({choose(seed=seed) for seed in range(6)}) > 1


def test_hands_point_at_an_overlay_on_its_side() -> None:
    cues = choose("We now look at a picture of the sea " * 3, overlays=[OverlaySide(4.0, "left")])
    assert ("point-left", "left") in [(cue.name, cue.side) for cue in cues]


def test_marks_win_and_zero_leaves_only_them() -> None:
    marks = [ActingMark(6, "gesture", "shrug")]
    assert [cue.name for cue in choose(amount=0.0, marks=marks)] == ["shrug"]
    assert choose(amount=0.0) == ()


def test_marks_stand_before_the_word_that_follows_and_are_not_spoken() -> None:
    script = parse_script("Look [gesture point-left] there. [mood sad] It rains [pause 300ms] a lot.")
    assert script.acting == ((1, "gesture", "point-left"), (2, "mood", "sad"))
    assert script.text == "Look there. It rains a lot."
    assert script.notes == ()


@pytest.mark.parametrize("mark", ["gesture salute", "mood gloomy", "gesture"])
def test_an_unknown_mark_is_refused_with_the_names_that_exist(mark: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scene(id="a", script=f"Hello [{mark}] there.")
    assert ("wave" in str(caught.value)) or ("surprised" in str(caught.value))


def test_spaces_and_capitals_of_a_mark_do_not_matter() -> None:
    assert read_acting_mark("Gesture: Point Left") == ("gesture", "point-left")
    assert read_acting_mark("chapter 2") is None


def test_each_mood_has_a_face_of_its_own() -> None:
    faces = {(e.smile, e.lid, e.brow, e.brow_tilt, e.pitch_deg) for e in EXPRESSIONS.values()}
    assert len(faces) == len(EXPRESSIONS)


def test_a_mood_holds_until_the_next_and_one_inside_a_sentence_to_its_end() -> None:
    words = words_of("It was dark. Then light came at last. We slept.", 1000)
    times = np.arange(0, 12, 0.04)
    marks = [ActingMark(3, "mood", "excited"), ActingMark(6, "mood", "sad")]
    smile = expression_curves(times, words, "neutral", marks)["smile"]
    at = lambda word: smile[np.searchsorted(times, words[word].start_ms / 1000 + 0.6)]  # noqa: E731
    assert at(1) == 0
    assert at(4) == pytest.approx(EXPRESSIONS["excited"].smile)
    assert at(6) == pytest.approx(EXPRESSIONS["sad"].smile)
    assert at(8) == pytest.approx(EXPRESSIONS["excited"].smile)
    assert smile[-1] < 0.01, "the next scene begins with a mood of its own"
    assert np.abs(np.diff(smile)).max() < 0.2


def test_a_body_rests_at_the_edges_of_a_scene() -> None:
    rest = at_edges((np.arange(100) + 0.5) / 25)
    assert rest[0] == 0 and rest[-1] < 0.01 and rest[50] == 1


def test_people_blink_ten_to_twenty_five_times_a_minute() -> None:
    times = np.arange(0, 600, 0.04)
    for seed in range(3):
        closed = blinks(times, [], seed, MotionStyle()) > 0.9
        assert 10 <= (np.diff(closed.astype(int)) == 1).sum() / 10 <= 25


def test_a_mood_behind_an_abbreviation_colours_the_rest_of_its_sentence_alone() -> None:
    words = ["Prof.", "Lee", "is", "here.", "We", "begin."]
    assert mood_changes(words, "neutral", [(1, "sad")]) == [(1, "sad"), (4, "neutral")]
    assert mood_changes(words, "neutral", [(4, "sad")]) == [(4, "sad")]
