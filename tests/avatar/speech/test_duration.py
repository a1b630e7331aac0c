"""A scene lasts as long as it was asked to, by natural pace and pauses, or says why it does not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from avatar.spec import Scene
from avatar.speech import duration
from avatar.tracks import SpeechTrack
from pydantic import ValidationError
from recordings import SENTENCES, Speaker, samples_of
from speech_service import SpeechService

MISSED = "speech.duration_missed"


def codes(track: SpeechTrack) -> list[str]:
    return [note.code for note in track.notes]


@pytest.mark.parametrize("share", [0.8, 0.95, 1.05, 1.3, 1.5])
def test_the_speech_lasts_as_long_as_it_was_asked_to(say: Speaker, nova: SpeechTrack, share: float) -> None:
    wished_ms = round(nova.duration_ms * share)
    track = say(SENTENCES, duration_ms=wished_ms)
    assert abs(track.duration_ms - wished_ms) <= max(250, 0.02 * wished_ms)
    assert MISSED not in codes(track)
    assert [word.text for word in track.words] == [word.text for word in nova.words]
    assert len(samples_of(track.wav)) * 1000 == track.duration_ms * track.sample_rate_hz
    edges = [(phone.start_ms, phone.end_ms) for phone in track.phones]
    assert edges[-1][1] == track.duration_ms
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))


def test_a_longer_scene_pauses_more_between_sentences_than_its_words_slow_down(say: Speaker) -> None:
    script = "One sheep came home. Two sheep stayed away. Three sheep slept."
    plain = say(script)
    slow = say(script, duration_ms=round(plain.duration_ms * 1.7))

    def gap_ms(track: SpeechTrack) -> int:
        return track.words[4].start_ms - track.words[3].end_ms

    assert gap_ms(slow) >= gap_ms(plain) + 300
    words = [sum(word.end_ms - word.start_ms for word in track.words) for track in (plain, slow)]
    assert words[1] <= words[0] / duration.SLOWEST * 1.05


def test_a_pause_that_the_script_asks_for_stays_as_long_as_it_says(say: Speaker) -> None:
    script = "One sheep. [pause 600ms] Two sheep."
    plain = say(script)
    track = say(script, duration_ms=plain.duration_ms + 900)
    gap = track.words[2].start_ms - track.words[1].end_ms
    assert 600 <= gap < 700


def test_a_script_that_cannot_fit_is_spoken_as_fast_as_is_natural_and_says_how_many_words_would(
    say: Speaker, nova: SpeechTrack
) -> None:
    track = say(SENTENCES, duration_ms=2000)
    assert nova.duration_ms / 1.5 < track.duration_ms < nova.duration_ms
    note = next(note for note in track.notes if note.code == MISSED)
    assert "2.0 s" in note.message and "too long" in note.message and "fastest" in note.message
    assert f"it has {len(track.words)}" in note.message


def test_a_script_that_cannot_fill_the_time_does_not_crawl(say: Speaker) -> None:
    plain = say("Good morning.")
    track = say("Good morning.", duration_ms=60_000)
    assert track.duration_ms <= plain.duration_ms / duration.SLOWEST + duration.LONGEST_ADDED_TAIL_MS + 100
    note = next(note for note in track.notes if note.code == MISSED)
    assert "60.0 s" in note.message and "too short" in note.message and "slowest" in note.message


def test_a_recording_keeps_its_pace_and_gets_silence_behind_it_or_a_note(
    say: Speaker, nova: SpeechTrack
) -> None:
    audio = {"path": str(nova.wav)}
    plain = say(SENTENCES, audio=audio)
    longer = say(SENTENCES, audio=audio, duration_ms=plain.duration_ms + 1000)
    assert abs(longer.duration_ms - plain.duration_ms - 1000) <= 20 and MISSED not in codes(longer)
    shorter = say(SENTENCES, audio=audio, duration_ms=1000)
    note = next(note for note in shorter.notes if note.code == MISSED)
    assert "recording" in note.message
    assert shorter.words[-1].end_ms < shorter.duration_ms


def test_a_voice_without_a_pace_pauses_and_says_what_it_cannot(say: Speaker, service: SpeechService) -> None:
    voice = {"kind": "qwen", "base_url": service.url, "voice_id": "ada", "cloned": False}
    plain = say(SENTENCES, voice=voice)
    longer = say(SENTENCES, voice=voice, duration_ms=plain.duration_ms + 1500)
    assert abs(longer.duration_ms - plain.duration_ms - 1500) <= 300 and MISSED not in codes(longer)
    note = next(note for note in say(SENTENCES, voice=voice, duration_ms=1000).notes if note.code == MISSED)
    assert "cannot change its pace" in note.message


@pytest.mark.parametrize("duration_ms", [0, 9, 7_200_001, -5])
def test_a_length_that_no_scene_has_is_refused(duration_ms: int) -> None:
    with pytest.raises(ValidationError, match="duration_ms"):
        Scene(id="s", script="Hello.", duration_ms=duration_ms)


def test_the_end_of_a_sound_is_cut_or_silent(say: Speaker, tmp_path: Path) -> None:
    from avatar.speech.sound import duration_ms, set_duration_ms

    wav = say("Hello.").wav
    before = duration_ms(wav)
    longer = set_duration_ms(wav, before + 777)
    assert longer == duration_ms(wav) and abs(longer - before - 777) <= 20
    assert not samples_of(wav)[-100:].any()
    assert set_duration_ms(wav, 400) == duration_ms(wav) == 400
