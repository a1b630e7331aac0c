"""`avatar speak`: a voice without pictures, with a sheet of words, mouth shapes and loudness."""

import json
import wave

import pytest
from avatar.spec.speech_sheet import SpeechSheet
from avatar.timing.visemes import name_visemes, viseme_names
from avatar.tracks import Phone


def test_a_scene_is_spoken_with_times_of_words_and_mouth(avatar, write_spec, small_spec, tmp_path):
    spec = write_spec(small_spec({"id": "a", "script": "My mother may. Buy five.", "lead_in_ms": 0}))
    done = avatar("speak", spec, "a", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"audio.wav", "speech.json"}
    sheet = SpeechSheet.model_validate_json((tmp_path / "out" / "speech.json").read_text())
    with wave.open(str(tmp_path / "out" / "audio.wav")) as sound:
        length_ms = sound.getnframes() * 1000 / sound.getframerate()
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
    assert abs(sheet.duration_ms - length_ms) <= 1
    assert [word.text for word in sheet.words] == ["My", "mother", "may.", "Buy", "five."]
    ends = [0, *(viseme.end_ms for viseme in sheet.visemes)]
    assert [viseme.start_ms for viseme in sheet.visemes] == ends[:-1] and ends[-1] == sheet.duration_ms
    [my, *_] = sheet.words
    first = [v.viseme for v in sheet.visemes if v.start_ms < my.end_ms and v.viseme != "sil"]
    assert first[0] == "PP", "the lips close for the m"
    assert "FF" in [v.viseme for v in sheet.visemes if v.start_ms >= sheet.words[-1].start_ms]
    assert len(sheet.level) == -(-sheet.duration_ms * sheet.level_hz // 1000)
    assert min(sheet.level) >= 0 and max(sheet.level) == 1.0
    result = json.loads(done.stdout.splitlines()[-1])
    assert [file["role"] for file in result["files"]] == ["audio", "speech"]


def test_a_cloned_voice_without_consent_says_nothing(avatar, write_spec, small_spec, tmp_path):
    voice = {"kind": "qwen", "base_url": "http://127.0.0.1:9", "voice_id": "x"}
    spec = write_spec(small_spec({"id": "a", "script": "Hi.", "voice": voice}))
    done = avatar("speak", spec, "a", tmp_path / "out", "--json")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["code"]) == (1, "consent.required")
    assert not (tmp_path / "out" / "audio.wav").exists()


@pytest.mark.parametrize(
    ("ipa", "names"),
    [("", ["sil"]), ("tʃ", ["DD", "CH"]), ("aɪ", ["aa", "I"]), ("ˈɔ̃ː", ["O"]), ("ꭓ", ["aa"]), ("ʔ", ["kk"])],
)
def test_each_phoneme_has_its_mouth_shapes(ipa, names):
    assert list(viseme_names(ipa)) == names


def test_mouth_shapes_leave_no_gap_and_equal_neighbours_are_one():
    phones = [Phone("m", 100, 200), Phone("p", 200, 300), Phone("a", 350, 400)]
    assert [(v.viseme, v.start_ms, v.end_ms) for v in name_visemes(phones, 500)] == [
        ("sil", 0, 100), ("PP", 100, 300), ("sil", 300, 350), ("aa", 350, 400), ("sil", 400, 500),
    ]  # fmt: skip
