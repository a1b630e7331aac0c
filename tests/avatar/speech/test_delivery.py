"""A mood reaches the voice: pace and pitch of its sentences, measured in the sound."""

from __future__ import annotations

import numpy as np
import pytest
from avatar.spec import EspeakVoice, FliteVoice, OpenAIVoice
from avatar.spec.acting import MOODS
from avatar.speech.delivery import DELIVERIES, deliver
from avatar.speech.markup import parse_script
from avatar.tracks import SpeechTrack
from recordings import Speaker, samples_of
from speech_service import SpeechService

TWO = "The tide comes in twice a day. The moon pulls at the sea and the water follows it."


def fundamental_hz(track: SpeechTrack, first: int, last: int) -> float:
    """The median over loud frames of 40 ms of the words first..last, by autocorrelation, 60 to 350 Hz."""
    rate = track.sample_rate_hz
    begin, end = (ms * rate // 1000 for ms in (track.words[first].start_ms, track.words[last].end_ms))
    sound = samples_of(track.wav)[begin:end].astype(float)
    size, loud = rate // 25, np.sqrt(np.mean(sound**2))
    found = []
    for at in range(0, len(sound) - size, rate // 100):
        frame = sound[at : at + size] - np.mean(sound[at : at + size])
        if np.sqrt(np.mean(frame**2)) >= loud:
            spectrum = np.fft.rfft(frame, 4 * size)
            like = np.fft.irfft(np.abs(spectrum) ** 2)[:size]
            lag = rate // 350 + int(np.argmax(like[rate // 350 : rate // 60]))
            if like[lag] > 0.5 * like[0]:
                found.append(rate / lag)
    return float(np.median(found))


def semitones(track: SpeechTrack, plain: SpeechTrack, first: int, last: int) -> float:
    return float(12 * np.log2(fundamental_hz(track, first, last) / fundamental_hz(plain, first, last)))


def span_ms(track: SpeechTrack, first: int, last: int) -> int:
    return track.words[last].end_ms - track.words[first].start_ms


@pytest.mark.parametrize("mood", ["serious", "excited", "sad", "surprised"])
@pytest.mark.parametrize("name", ["slt", "awb"])
def test_a_scene_in_a_mood_is_slower_or_faster_lower_or_higher(say: Speaker, mood: str, name: str) -> None:
    voice = FliteVoice(voice=name)
    plain, moved = say(TWO, voice=voice), say(TWO, voice=voice, mood=mood)
    delivery = DELIVERIES[mood]
    assert span_ms(plain, 0, 6) / span_ms(moved, 0, 6) == pytest.approx(delivery.pace, abs=0.03)
    assert semitones(moved, plain, 0, 6) == pytest.approx(delivery.semitones, abs=0.5)
    assert [word.text for word in moved.words] == TWO.split()


def test_a_mark_moves_its_own_sentence_alone(say: Speaker) -> None:
    plain = say(TWO, voice=FliteVoice())
    moved = say(TWO.replace("The moon", "[mood sad] The moon"), voice=FliteVoice())
    assert span_ms(moved, 0, 6) == pytest.approx(span_ms(plain, 0, 6), abs=3)
    assert abs(semitones(moved, plain, 0, 6)) < 0.1
    assert span_ms(moved, 7, 17) > 1.06 * span_ms(plain, 7, 17) and semitones(moved, plain, 7, 17) < -0.6


def test_a_voice_without_another_pitch_takes_the_pace(say: Speaker) -> None:
    plain, sad = (say(TWO, voice=FliteVoice(voice="rms"), mood=mood) for mood in ("neutral", "sad"))
    assert span_ms(plain, 0, 6) / span_ms(sad, 0, 6) == pytest.approx(0.90, abs=0.03)


def test_espeak_takes_both(say: Speaker) -> None:
    plain, excited = (say(TWO, voice=EspeakVoice(), mood=mood) for mood in ("neutral", "excited"))
    assert span_ms(excited, 0, 5) < 0.97 * span_ms(plain, 0, 5)
    assert semitones(excited, plain, 0, 6) > 0.4 and excited.notes == ()


def test_espeak_adds_no_silence_and_the_next_piece_is_plain_again(say: Speaker) -> None:
    plain = say("It rains. [pause 300ms] It rains.", voice=EspeakVoice(), tail_ms=0)
    sad = say("[mood sad] It rains. [pause 300ms] [mood neutral] It rains.", voice=EspeakVoice(), tail_ms=0)
    assert span_ms(sad, 0, 1) > 1.05 * span_ms(plain, 0, 1)
    assert span_ms(sad, 2, 3) == pytest.approx(span_ms(plain, 2, 3), abs=2)
    pauses = [one.words[2].start_ms - one.words[1].end_ms for one in (plain, sad)]
    assert pauses[1] == pytest.approx(pauses[0], abs=60)


def test_a_service_gets_a_request_per_mood_at_its_pace(say: Speaker, service: SpeechService) -> None:
    voice = OpenAIVoice(base_url=service.url, speed=1.2)
    track = say("Good day to you. Fine. [mood sad] It rains here. All day.", voice=voice)
    assert [(body["input"], body["speed"]) for _, body, _ in service.requests] == [
        ("Good day to you. Fine.", 1.2),
        ("It rains here. All day.", 1.08),
    ]
    assert len(track.words) == 10 and track.notes == ()


def test_every_mood_has_a_small_delivery_and_neutral_changes_nothing() -> None:
    assert set(DELIVERIES) == set(MOODS)
    assert all(0.85 <= one.pace <= 1.15 and abs(one.semitones) <= 2 for one in DELIVERIES.values())
    script = parse_script(TWO)
    assert deliver(script, "neutral") is script
