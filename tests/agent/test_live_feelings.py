"""What is said aloud of an answer, with which feeling, and when."""

from __future__ import annotations

import pytest
from avatar.spec.speech_sheet import SpeechSheet, TimedViseme, TimedWord

from agent.live.curve import CURVE_HZ, emotion_curve, sentence_ends
from agent.live.feelings import feelings, strongest
from agent.live.spoken_text import MORE, MOST_CHARS, spoken_text


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("Your video is ready. I am so glad!", "happy"),
        ("Unfortunately that face is gone.", "sad"),
        ("The render failed: the disk has a problem.", "concerned"),
        ("Which one do you mean?", "curious"),
        ("It is running, the next step is waiting.", "focused"),
        ("Wow, that was unexpected!", "surprised"),
        ("That is not a problem.", "neutral"),
        ("There are three machines.", "neutral"),
        ("¿", "neutral"),
    ],
)
def test_words_and_marks_tell_the_feeling(text: str, emotion: str) -> None:
    assert strongest(feelings(text)) == emotion


def test_an_intensifier_makes_it_stronger() -> None:
    [plain], [strong] = feelings("I am glad."), feelings("I am so glad.")
    assert plain.emotion == strong.emotion == "happy" and plain.intensity < strong.intensity <= 1


def sheet(*words: tuple[str, int, int], duration_ms: int = 4000) -> SpeechSheet:
    return SpeechSheet(
        duration_ms=duration_ms,
        sample_rate_hz=22_050,
        words=tuple(TimedWord(text=text, start_ms=start, end_ms=end) for text, start, end in words),
        visemes=(TimedViseme(viseme="sil", start_ms=0, end_ms=duration_ms),),
        level=(1.0,) * 50 + (0.0,) * 50,
        phone_source="engine",
    )


def test_the_curve_changes_where_the_voice_begins_the_next_sentence() -> None:
    found = feelings("I am glad. It failed.")
    said = sheet(
        ("I", 0, 200), ("am", 200, 500), ("glad.", 500, 1500), ("It", 2500, 2700), ("failed.", 2700, 3900)
    )
    assert sentence_ends(found, said) == [1500, 3900]
    curve = emotion_curve(found, said)
    assert len(curve) == 4 * CURVE_HZ + 1 and (curve[0].time, curve[-1].time) == (0.0, 1.0)
    assert [sample.emotion for sample in curve] == ["happy"] * 15 + ["concerned"] * 26
    loud, quiet = curve[5].intensity, curve[-1].intensity
    assert loud == found[0].intensity and quiet < found[1].intensity


def test_a_sound_without_words_still_has_a_curve() -> None:
    curve = emotion_curve(feelings("Fine. Thanks."), sheet(duration_ms=0))
    assert [sample.time for sample in curve] == [0.0, 1.0]


def test_marks_and_addresses_are_not_read_aloud() -> None:
    assert spoken_text("Done: *look*\n• [pause 9000ms] at https://a.example/x\n---\n/api/renders/7") == (
        "Done: look. pause 9000ms at."
    )
    assert spoken_text("—\n…") == ""


def test_a_long_answer_is_said_up_to_a_whole_sentence_and_says_so() -> None:
    said = spoken_text("This is one sentence. " * 100)
    assert said.endswith(f"sentence. {MORE}") and len(said) <= MOST_CHARS + len(MORE) + 2
    assert spoken_text("x" * 5000).endswith(MORE)
