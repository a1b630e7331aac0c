"""The built-in English voices: exact times, pitch and pace as asked for, and who speaks otherwise."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.pipeline.record import voice_record
from avatar.programs import flite_is_installed
from avatar.spec import EspeakVoice, FliteVoice, Scene
from avatar.speech import flite, speak
from avatar.speech.spoken_english import in_words
from avatar.tracks import SpeechTrack
from recordings import SENTENCES, Speaker, samples_of

pytestmark = pytest.mark.skipif(not flite_is_installed(), reason="needs flite: apt-get install libflite1")


def sound(track: SpeechTrack, start_ms: int, end_ms: int) -> Any:
    rate = track.sample_rate_hz
    return samples_of(track.wav).astype(float)[start_ms * rate // 1000 : end_ms * rate // 1000]


def rms(track: SpeechTrack, start_ms: int, end_ms: int) -> float:
    return float(np.sqrt(np.mean(sound(track, start_ms, end_ms) ** 2)))


def fundamental_hz(track: SpeechTrack) -> float:
    """The median over the vowels, by autocorrelation between 60 and 400 Hz."""
    found = []
    rate = track.sample_rate_hz
    for phone in track.phones:
        if not set(phone.ipa) & set("aɑæɛɪiɔoʊuʌ") or phone.end_ms - phone.start_ms < 60:
            continue
        wave = sound(track, phone.start_ms + 10, phone.end_ms - 10)
        wave = wave - wave.mean()
        like = np.correlate(wave, wave, "full")[len(wave) - 1 :]
        low, high = rate // 400, min(rate // 60, len(like) - 1)
        found.append(rate / (low + int(np.argmax(like[low:high]))))
    return float(np.median(found))


def test_words_come_back_as_written_with_sound_under_them(say: Speaker) -> None:
    track = say(SENTENCES, voice=FliteVoice())
    assert " ".join(word.text for word in track.words) == SENTENCES
    starts = [word.start_ms for word in track.words]
    assert starts == sorted(starts)
    for word in track.words:
        assert word.end_ms > word.start_ms
        assert rms(track, word.start_ms, word.end_ms) > 100, word
    assert track.phone_source == "engine"


def test_phones_cover_the_sound_without_gaps_and_pauses_are_quiet(say: Speaker) -> None:
    track = say(SENTENCES, voice=FliteVoice(voice="rms"), lead_in_ms=700, tail_ms=900)
    edges = [(phone.start_ms, phone.end_ms) for phone in track.phones]
    assert (edges[0][0], edges[-1][1]) == (0, track.duration_ms)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))
    loudest = rms(track, 700, track.duration_ms - 900)
    for phone in track.phones:
        if not phone.ipa and phone.end_ms - phone.start_ms > 150:
            assert rms(track, phone.start_ms + 70, phone.end_ms - 40) < loudest / 30, phone
    assert rms(track, 0, 690) == 0
    assert track.duration_ms * track.sample_rate_hz == len(samples_of(track.wav)) * 1000


@pytest.mark.parametrize("semitones", [-3.0, 3.0])
def test_pitch_moves_the_voice_and_not_its_pace(say: Speaker, semitones: float) -> None:
    plain, moved = (say(SENTENCES, voice=FliteVoice(pitch=one)) for one in (0.0, semitones))
    moved_by = 12 * np.log2(fundamental_hz(moved) / fundamental_hz(plain))
    assert moved_by == pytest.approx(semitones, abs=0.7)
    assert moved.duration_ms == pytest.approx(plain.duration_ms, rel=0.02)


def test_pace_and_emphasis_change_lengths(say: Speaker) -> None:
    plain, quick = (say(SENTENCES, voice=FliteVoice(pace=one)) for one in (1.0, 1.4))
    assert quick.duration_ms < plain.duration_ms * 0.85
    level, stressed = (say(f"We {word} owe you one.", voice=FliteVoice()) for word in ("really", "*really*"))
    lengths = [one.words[1].end_ms - one.words[1].start_ms for one in (level, stressed)]
    assert lengths[1] > lengths[0] * 1.08
    assert stressed.words[1].emphasis
    louder = [rms(one, one.words[1].start_ms, one.words[1].end_ms) for one in (level, stressed)]
    assert louder[1] > louder[0] * 1.15


def test_a_pause_lasts_what_the_script_says(say: Speaker) -> None:
    track = say("One. [pause 1s] Two.", voice=FliteVoice(pitch=-2.0))
    gap = track.words[1].start_ms - track.words[0].end_ms
    assert 1000 <= gap <= 1140


def test_a_dictionary_of_respellings_and_of_sounds_is_spoken(say: Speaker) -> None:
    def sounds(**pronunciation: str) -> list[str]:
        track = say("Lee", voice=FliteVoice(), pronunciation=pronunciation)
        assert track.notes == ()
        return [phone.ipa for phone in track.phones if phone.ipa]

    assert sounds() == ["l", "iː"]
    assert sounds(Lee="lay") == ["l", "eɪ"]
    assert sounds(lee="/kæt/") == ["k", "æ", "t"]


def test_other_languages_and_machines_without_flite_are_spoken_by_espeak(
    say: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    german = say("Guten Morgen zusammen.", voice=FliteVoice(), language="de")
    assert german.sample_rate_hz == 22_050
    monkeypatch.setattr(flite, "flite_is_installed", lambda: False)
    voice = FliteVoice(otherwise=EspeakVoice(variant="m3"))
    track = say("Good morning.", voice=voice)
    assert track.sample_rate_hz == 22_050
    assert [note.code for note in track.notes] == ["speech.flite_missing"]


@pytest.mark.parametrize(
    "script", ["😀 hi", "(hello) a. b.", "-- hello --", "!!! ... wait", "Über — “naïve”…", "w " * 150]
)
def test_strange_texts_are_spoken_or_passed_over(say: Speaker, script: str) -> None:
    track = say(script, voice=FliteVoice())
    assert "".join("".join(word.text.split()) for word in track.words) == "".join(script.split())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Prof. Lee owes £2,750.80 in Elm Rd.", "professor Lee owes 2,750 pounds and 80 pence in Elm road"),
        ("St. Paul lives in Elm St. near Mt. Hood", "saint Paul lives in Elm street near mount Hood"),
        ("It runs 100 km/h, 5kg for $1.", "It runs 100 kilometers per hour, 5 kilograms for 1 dollar."),
        ("about €3 million & more, No. 5!", "about 3 million euros and more, number 5!"),
        ("I said no. Really, a m and an l.", "I said no. Really, a m and an l."),
    ],
)  # fmt: skip
def test_abbreviations_are_read_in_full(written: str, expected: str) -> None:
    assert " ".join(in_words(written.split())) == expected


@pytest.mark.parametrize(("script", "name"), [("Good morning.", "flite"), ("שלום עולם.", "espeak-ng")])
def test_the_record_names_the_engine_that_speaks(say: Speaker, script: str, name: str) -> None:
    assert say(script, voice=FliteVoice()).sample_rate_hz == {"flite": 32_000, "espeak-ng": 22_050}[name]
    assert voice_record(Scene(id="s", script=script, voice=FliteVoice())).name == name


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("They raised £1.5 million.", "They raised 1.5 million pounds."),
        ("A loss of £3m, then $4.2bn.", "A loss of 3 million pounds, then 4.2 billion dollars."),
        ("It took 5 ms.", "It took 5 milliseconds."),
        ("Ask Ms. Lee.", "Ask miz Lee."),
    ],
)
def test_decimals_and_scales_of_money_and_a_final_unit_are_spoken(written: str, spoken: str) -> None:
    assert " ".join(in_words(written.split())) == spoken


def test_an_abbreviation_that_ends_a_sentence_pauses_and_one_within_does_not(say: Speaker) -> None:
    def gap_ms(script: str, word: int) -> int:
        spoken = say(script, voice=FliteVoice())
        assert " ".join(one.text for one in spoken.words) == script
        return spoken.words[word + 1].start_ms - spoken.words[word].end_ms

    assert gap_ms("He lives at 12 Elm Rd. Then he moved.", 5) > 250
    assert gap_ms("He lives at 12 Elm Rd. near us.", 5) < 100


def test_a_sentence_is_spoken_once_while_somebody_edits_and_sounds_the_same(tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def speech_of(script: str, name: str, cache: Path | None, **fields: Any) -> tuple[bytes, Any]:
        track = speak(Scene(id="s", script=script, **fields), tmp_path / name, lambda ref: Path(), cache)
        return track.wav.read_bytes(), (track.words, track.phones, track.duration_ms)

    script = "The tide comes in. *High* water is at noon. Goodbye."
    plain = speech_of(script, "plain", None)
    assert not cache.exists()
    assert speech_of(script, "first", cache) == plain
    stored = {one: one.stat().st_mtime_ns for one in (cache / "sentences").iterdir()}
    assert len(stored) == 3
    assert speech_of(script, "second", cache) == plain
    edited = script.replace("noon", "midnight")
    assert speech_of(edited, "edited", cache) == speech_of(edited, "edited plain", None)
    now = {one: one.stat().st_mtime_ns for one in (cache / "sentences").iterdir()}
    assert len(now) == 4 and stored.items() <= now.items(), "only the other sentence was spoken"
    # A damaged file is spoken anew; another voice, pitch or dictionary is another sound; old ones go.
    next(iter(now)).write_bytes(b"{}")
    assert speech_of(script, "damaged", cache) == plain
    others: tuple[dict[str, Any], ...] = (
        {"voice": FliteVoice(voice="rms")},
        {"voice": FliteVoice(pace=1.2)},
        {"pronunciation": {"tide": "tied"}},
    )
    for number, fields in enumerate(others):
        got = speech_of(script, f"other{number}", cache, **fields)
        assert got == speech_of(script, f"other plain{number}", None, **fields)
    for one in now:
        os.utime(one, (0, 0))
    speech_of("Something else.", "later", cache)
    assert not any(one.exists() for one in now)
