"""The embedded voice: words as written with their times, sound as promised, errors with a way out."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avatar.errors import InvalidInput, Unavailable
from avatar.spec import EspeakVoice
from avatar.speech import engine_child, espeak
from avatar.speech.engine_child import engine_lines
from avatar.speech.pronunciation import NAMES, NAMES_ELSEWHERE, espeak_phonemes
from avatar.tracks import SpeechTrack
from recordings import Speaker, samples_of

IPA_TABLES = {True: NAMES, False: NAMES | NAMES_ELSEWHERE}


@pytest.fixture
def say(say: Speaker) -> Speaker:
    """`say` by espeak-ng."""
    return lambda script, **fields: say(script, **{"voice": EspeakVoice(), **fields})


def rms(track: SpeechTrack, start_ms: int, end_ms: int) -> float:
    samples = samples_of(track.wav).astype(float)
    rate = track.sample_rate_hz
    return float(np.sqrt(np.mean(samples[start_ms * rate // 1000 : end_ms * rate // 1000] ** 2)))


def test_words_come_back_as_written_in_order_with_sound_under_them(nova: SpeechTrack) -> None:
    assert [word.text for word in nova.words][:5] == ["Hello,", "my", "name", "is", "Nova."]
    starts = [word.start_ms for word in nova.words]
    assert starts == sorted(starts)
    quiet = rms(nova, 0, 250)
    assert quiet == 0
    for word in nova.words:
        assert word.end_ms > word.start_ms
        assert rms(nova, word.start_ms, word.end_ms) > 100, word


def test_phones_cover_the_sound_without_gaps_and_pauses_are_silent(nova: SpeechTrack) -> None:
    edges = [(phone.start_ms, phone.end_ms) for phone in nova.phones]
    assert edges[0][0] == 0
    assert edges[-1][1] == nova.duration_ms
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))
    silent = [phone for phone in nova.phones if not phone.ipa and phone.end_ms - phone.start_ms > 100]
    assert len(silent) >= 4
    for phone in silent:
        assert rms(nova, phone.start_ms + 60, phone.end_ms - 20) < 200, phone


def test_the_wav_is_whole_milliseconds_long_with_lead_in_and_tail(say: Speaker) -> None:
    track = say("Hi there.", lead_in_ms=700, tail_ms=900)
    samples = samples_of(track.wav)
    assert track.duration_ms * track.sample_rate_hz == len(samples) * 1000
    loud = np.flatnonzero(np.abs(samples) > 300) * 1000 / track.sample_rate_hz
    assert 700 <= loud[0] < 760
    assert track.duration_ms - loud[-1] >= 900


def test_a_pause_lasts_what_the_script_says(say: Speaker) -> None:
    without, with_pause = say("one two. Three"), say("one two. [pause 1500ms] Three")
    gap = lambda track: track.words[2].start_ms - track.words[1].end_ms  # noqa: E731
    assert gap(with_pause) >= 1500
    assert gap(with_pause) < 1600 < gap(with_pause) + gap(without)


def test_stress_is_heard_and_marked(say: Speaker) -> None:
    plain, stressed = say("this is a big house"), say("this is a *big* house")
    assert [word.emphasis for word in stressed.words] == [False, False, False, True, False]
    length = lambda track: track.words[3].end_ms - track.words[3].start_ms  # noqa: E731
    assert length(stressed) > 0.9 * length(plain)
    word = stressed.words[3]
    assert rms(stressed, word.start_ms, word.end_ms) > 1.15 * rms(
        plain, plain.words[3].start_ms, plain.words[3].end_ms
    )


def test_respellings_and_ipa_change_the_sound_but_not_the_words(say: Speaker) -> None:
    plain = say("Ask Nginx, then GIF-based tools.")
    track = say("Ask Nginx, then GIF-based tools.", pronunciation={"nginx": "engine ex", "GIF": "/dʒɪf/"})
    assert [word.text for word in track.words] == [word.text for word in plain.words]
    sounds = "".join(phone.ipa for phone in track.phones)
    assert "ɛndʒɪn" in sounds
    assert "dʒɪf" in sounds
    assert sounds != "".join(phone.ipa for phone in plain.phones)
    assert track.notes == ()


def test_a_pronunciation_that_cannot_be_said_is_reported(say: Speaker) -> None:
    track = say("Click here", pronunciation={"click": "/ǃǁʘ/", "two words": "x", "here": ""})
    assert [note.code for note in track.notes] == ["speech.pronunciation_unsupported"] * 3


@pytest.mark.parametrize("language", ["en-us", "en-gb", "de", "fr", "es", "it", "ru"])
def test_every_ipa_sound_the_table_knows_is_heard(language: str, tmp_path: Path) -> None:
    sounds = [ipa for ipa in IPA_TABLES[language.startswith("en")] if ipa.strip("ˈˌ.' ")]
    # An unknown name is silent and takes the sound behind it along.
    pieces = [f"[[ta{espeak_phonemes(ipa, language)}ta]]" for ipa in sounds]
    request = {
        "voice": language, "variant": None, "rate_wpm": 160, "pitch": 50, "pitch_range": 50,
        "wav": str(tmp_path / "ipa.wav"),
        "pieces": [{"text": piece, "ssml": False, "phonemes": True} for piece in pieces],
    }  # fmt: skip
    counts: list[int] = []
    count = 0
    for line in engine_lines(espeak.ENGINE, request, 60):
        if "p" in line:
            count += bool(line["p"][0])
        elif "e" in line:
            counts.append(count)
            count = 0
    assert {ipa: count for ipa, count in zip(sounds, counts, strict=True) if count < 4} == {}


def test_phoneme_brackets_of_people_are_not_obeyed(say: Speaker) -> None:
    with_dictionary = say("say [[h@l'oU]] GIF", pronunciation={"GIF": "/dʒɪf/"})
    assert "həlˈoʊ" not in "".join(phone.ipa for phone in with_dictionary.phones)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("It cost 1,234.50 dollars on 3/4/2021, i.e. 20% more.", "en-us"),
        ("Dr. Smith & Mrs. <Jones> met at 5 p.m. in the U.S.A. <3", "en-us"),
        ("Launch 🚀 now 👩‍👩‍👧! ❤️", "en-us"),
        ("שלום עולם, מה שלומך?", "he"),
        ("مرحبا بالعالم", "ar"),
        ("Straße, Bäume und zwölf Jahre", "de"),
        ("你好世界,今天天气很好。", "zh-CN"),
        ("Hello שלום world مرحبا mixed", "en-us"),
    ],
)  # fmt: skip
def test_everyday_and_foreign_text_is_spoken_with_every_word_accounted_for(
    say: Speaker, text: str, language: str
) -> None:
    track = say(text, language=language)
    assert " ".join(word.text for word in track.words) == text
    starts = [word.start_ms for word in track.words]
    assert starts == sorted(starts)
    assert track.words[-1].end_ms <= track.duration_ms
    assert sum(phone.end_ms - phone.start_ms for phone in track.phones if phone.ipa) > 400


def test_an_abbreviation_does_not_end_the_sentence(say: Speaker) -> None:
    track = say("Ask Dr. Smith about it")
    between = [
        phone for phone in track.phones if track.words[1].start_ms < phone.start_ms < track.words[2].start_ms
    ]
    assert not any(not phone.ipa and phone.end_ms - phone.start_ms > 100 for phone in between)


def test_an_unknown_language_names_close_ones(say: Speaker) -> None:
    with pytest.raises(InvalidInput) as caught:
        say("hello", language="enn-uss")
    assert caught.value.code == "speech.unknown_language"
    assert "en-us" in caught.value.hint


def test_a_country_without_a_voice_of_its_own_reads_the_main_language_and_says_so(say: Speaker) -> None:
    track = say("Guten Tag", language="de-AT")
    assert [note.code for note in track.notes] == ["speech.language_approximated"]
    assert say("Good day", language="en-GB").notes == ()


def test_the_language_leads_and_the_voice_gives_the_accent() -> None:
    assert espeak.espeak_language("de", EspeakVoice()) == "de"
    assert espeak.espeak_language("en-us", EspeakVoice(voice="de")) == "de"
    assert espeak.espeak_language("en", EspeakVoice(voice="en-gb-scotland")) == "en-gb-scotland"
    assert espeak.espeak_language("pt_BR", EspeakVoice()) == "pt-br"


def test_an_unknown_variant_is_an_error(say: Speaker) -> None:
    with pytest.raises(InvalidInput, match=r"speech\.unknown_variant"):
        say("hello", voice=EspeakVoice(variant="no-such-variant"))


@pytest.mark.parametrize("script", ["...", "[laugh] [pause 1s]", "— …"])
def test_a_script_without_words_is_refused(say: Speaker, script: str) -> None:
    with pytest.raises(InvalidInput, match=r"speech\.(empty_script|nothing_to_say)"):
        say(script)


def test_without_the_library_the_error_says_what_to_install(
    say: Speaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = espeak.CHILD.read_text()
    child = tmp_path / "child.py"
    child.write_text(source.replace("libespeak-ng.so.1", "libno.so").replace('"espeak-ng")', '"no")'))
    monkeypatch.setattr(espeak, "ENGINE", replace(espeak.ENGINE, program=child))
    with pytest.raises(Unavailable) as caught:
        say("hello")
    assert caught.value.code == "speech.espeak_missing"
    assert caught.value.hint == "apt-get install espeak-ng"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "speech.espeak_failed"),
        ("raise SystemExit(0)", "speech.espeak_failed"),
        ("print('{\"rate\": 22050}', flush=True); import time; time.sleep(60)", "speech.timeout"),
        ("print('no json at all')", "speech.espeak_failed"),
    ],
)
def test_a_child_that_crashes_stops_or_hangs_ends_in_a_clear_error(
    say: Speaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, code: str
) -> None:
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(espeak, "ENGINE", replace(espeak.ENGINE, program=child))
    if code == "speech.timeout":
        monkeypatch.setattr(engine_child, "START_TIMEOUT_S", 1.0)
    with pytest.raises(Unavailable) as caught:
        say("hello world")
    assert caught.value.code == code


def test_a_full_disk_is_reported_as_such(tmp_path: Path) -> None:
    request = {
        "voice": "en-us", "variant": None, "rate_wpm": 160, "pitch": 50, "pitch_range": 50,
        "wav": "/dev/full",
        "pieces": [{"text": "hello " * 200, "ssml": False, "phonemes": False}],
    }  # fmt: skip
    child = subprocess.run(
        [sys.executable, "-I", "-S", str(espeak.CHILD)],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    last = json.loads(child.stdout.splitlines()[-1])
    assert (child.returncode, last["error"]) == (3, "disk")
    with pytest.raises(Unavailable, match=r"The disk is full: .* left in /dev\.") as caught:
        list(engine_lines(espeak.ENGINE, request, 60))
    assert caught.value.code == "render.disk_full"


def test_the_worker_never_loads_the_gpl_library(say: Speaker) -> None:
    say("The library lives in another process.")
    assert "espeak" not in Path("/proc/self/maps").read_text()


def test_names_and_texts_never_reach_a_shell(say: Speaker, tmp_path: Path) -> None:
    track = say("$(touch pwned); `touch pwned` | rm -rf / && echo hi")
    assert track.words[0].text == "$(touch"
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()


def test_the_same_script_gives_the_same_sound_and_times(say: Speaker) -> None:
    first, second = say("Once more, please."), say("Once more, please.")
    assert first.wav.read_bytes() == second.wav.read_bytes()
    assert (first.words, first.phones) == (second.words, second.phones)


def test_ten_thousand_characters_stay_aligned_to_the_last_word(say: Speaker) -> None:
    script = " ".join(f"Sentence {number} speaks of *old* rivers & 3 birds." for number in range(220))
    track = say(script)
    assert " ".join(word.text for word in track.words) == script.replace("*", "")
    last = max(phone.end_ms for phone in track.phones if phone.ipa)
    assert abs(track.words[-1].end_ms - last) < 50
