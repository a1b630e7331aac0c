"""Voices behind HTTP: the real wire forms, what goes wrong on the way, and no secret in any message."""

from __future__ import annotations

from pathlib import Path

import pytest
from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import OpenAIVoice, QwenVoice
from avatar.speech import http_voice
from recordings import Speaker
from speech_service import SpeechService

GREETING = "Good morning, my friends."
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_KEY", KEY)
    monkeypatch.setattr(http_voice, "FIRST_WAIT_S", 0.01)


def openai(service: SpeechService, **fields: object) -> OpenAIVoice:
    return OpenAIVoice.model_validate({"base_url": service.url, "api_key_env": "SPEECH_KEY", **fields})


def test_openai_is_asked_in_its_own_words(say: Speaker, service: SpeechService) -> None:
    track = say(GREETING, voice=openai(service, model="tts-1-hd", voice="nova", speed=1.25))
    path, body, authorization = service.requests[0]
    assert path == "/v1/audio/speech"
    assert body == {
        "model": "tts-1-hd",
        "input": GREETING,
        "voice": "nova",
        "response_format": "wav",
        "speed": 1.25,
    }
    assert authorization == f"Bearer {KEY}"
    assert track.sample_rate_hz == 24_000
    assert track.phone_source == "aligned"
    assert [word.text for word in track.words] == ["Good", "morning,", "my", "friends."]
    assert track.notes == ()


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/v1/audio/speech", "/"])
def test_a_base_address_may_already_hold_the_path(say: Speaker, service: SpeechService, base: str) -> None:
    service.faults = ["400"]
    with pytest.raises(InvalidInput):
        say("hi", voice=OpenAIVoice(base_url=service.url + base))
    assert service.requests[0][0] == "/v1/audio/speech"


def test_a_qwen_service_gets_voice_id_and_language(say: Speaker, service: SpeechService) -> None:
    track = say(GREETING, voice=QwenVoice(base_url=service.url, voice_id="ada", cloned=False))
    path, body, authorization = service.requests[0]
    assert path == "/tts"
    assert body == {
        "text": GREETING,
        "voice_id": "ada",
        "language": "en-us",
        "format": "wav",
    }
    assert authorization is None
    assert track.phone_source == "aligned"


def test_a_qwen_service_with_a_path_of_its_own_is_asked_there(say: Speaker, service: SpeechService) -> None:
    service.faults = ["400"]
    with pytest.raises(InvalidInput):
        say("hi", voice=QwenVoice(base_url=f"{service.url}/generate", voice_id="ada"))
    assert service.requests[0][0] == "/generate"


def test_pauses_split_the_text_and_are_put_in_as_silence(say: Speaker, service: SpeechService) -> None:
    track = say("[pause 400ms] Good day. [pause 900ms] How are you?", voice=openai(service), lead_in_ms=200)
    assert [body["input"] for _, body, _ in service.requests] == ["Good day.", "How are you?"]
    assert track.words[0].start_ms >= 600
    gap = track.words[2].start_ms - track.words[1].end_ms
    assert 900 <= gap < 1500
    silences = [phone for phone in track.phones if not phone.ipa and phone.end_ms - phone.start_ms >= 900]
    assert any(track.words[1].end_ms <= phone.start_ms + 60 for phone in silences)


def test_a_long_text_goes_out_in_sentences_the_service_can_take(say: Speaker, service: SpeechService) -> None:
    sentence = "Many birds sing above the old river and nobody listens. "
    service.faults = ["", "400"]
    with pytest.raises(InvalidInput):
        say(sentence * 100, voice=openai(service))
    first = service.requests[0][1]["input"]
    assert 2000 < len(first) <= 3000
    assert first.endswith("listens.")


def test_a_service_gets_the_words_and_captions_show_what_is_written(
    say: Speaker, service: SpeechService
) -> None:
    track = say("Dr. Lee pays £2 on 12 Elm Rd.", voice=openai(service))
    assert service.requests[0][1]["input"] == "doctor Lee pays 2 pounds on 12 Elm road"
    assert [word.text for word in track.words] == ["Dr.", "Lee", "pays", "£2", "on", "12", "Elm", "Rd."]


def test_what_a_service_cannot_do_is_reported(say: Speaker, service: SpeechService) -> None:
    track = say(
        "This is *very* odd, GIF and SQL.",
        voice=openai(service),
        pronunciation={"SQL": "sequel", "GIF": "/dʒɪf/"},
    )
    assert service.requests[0][1]["input"] == "This is very odd, GIF and sequel."
    assert [word.text for word in track.words] == ["This", "is", "very", "odd,", "GIF", "and", "SQL."]
    assert track.words[2].emphasis
    codes = [note.code for note in track.notes]
    assert codes == ["speech.markup_unsupported", "speech.pronunciation_unsupported"]


@pytest.mark.parametrize(
    "faults", [["500"], ["503", "502"], ["429"], ["cut"], ["cut without length"], ["empty"]]
)
def test_what_passes_is_tried_again(say: Speaker, service: SpeechService, faults: list[str]) -> None:
    service.faults = list(faults)
    track = say(GREETING, voice=openai(service))
    assert len(service.requests) == len(faults) + 1
    assert len(track.words) == 4


def test_retry_after_is_waited_for(service: SpeechService, tmp_path: Path) -> None:
    waits: list[float] = []
    service.faults = ["429", "500"]
    request = http_voice.SpeechRequest(f"{service.url}/tts", {"text": "hi"})
    http_voice.fetch(request, tmp_path / "answer", sleep=waits.append)
    assert waits == [0.2, 0.02]


def test_a_streamed_wav_without_a_length_is_read(say: Speaker, service: SpeechService) -> None:
    service.faults = ["streamed"]
    track = say(GREETING, voice=openai(service))
    assert track.phone_source == "aligned"
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        ("500", "speech.upstream_failed", Unavailable),
        ("429", "speech.upstream_busy", Unavailable),
        ("cut", "speech.upstream_bad_audio", Unavailable),
        ("garbage", "speech.upstream_bad_audio", Unavailable),
        ("page", "speech.upstream_bad_audio", Unavailable),
        ("packed", "speech.upstream_bad_audio", Unavailable),
        ("endless refusal", "speech.upstream_rejected", InvalidInput),
        ("401", "speech.upstream_denied", InvalidInput),
        ("400", "speech.upstream_rejected", InvalidInput),
        ("302", "speech.upstream_rejected", InvalidInput),
    ],
)
def test_what_does_not_pass_ends_in_an_error_without_the_key(
    say: Speaker, service: SpeechService, fault: str, code: str, kind: type[AvatarError]
) -> None:
    service.faults = [fault] * 5
    with pytest.raises(kind) as caught:
        say("Good morning.", voice=openai(service))
    assert caught.value.code == code
    assert caught.value.hint
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in f"{error!r} {error}"
        error = error.__cause__
    assert len(service.requests) == (
        3 if kind is Unavailable and fault not in ("garbage", "page", "packed") else 1
    )


def test_a_slow_service_is_given_up(service: SpeechService, tmp_path: Path) -> None:
    service.faults = ["slow"] * 3
    request = http_voice.SpeechRequest(f"{service.url}/tts", {"text": "hi"})
    with pytest.raises(Unavailable, match=r"speech\.upstream_timeout"):
        http_voice.fetch(request, tmp_path / "answer", read_timeout_s=0.1, sleep=lambda _: None)


def test_a_service_that_is_not_there_is_unreachable(say: Speaker) -> None:
    with pytest.raises(Unavailable, match=r"speech\.upstream_unreachable"):
        say("hi", voice=OpenAIVoice(base_url="http://127.0.0.1:9"))


@pytest.mark.parametrize("address", ["", "file:///etc/passwd", "not an address", "ftp://host/x", "http://"])
def test_an_address_that_is_none_is_refused(say: Speaker, address: str) -> None:
    with pytest.raises(InvalidInput, match=r"speech\.bad_address"):
        say("hi", voice=OpenAIVoice(base_url=address))


def test_a_password_in_the_address_does_not_show(say: Speaker) -> None:
    with pytest.raises(AvatarError) as caught:
        say("hi", voice=OpenAIVoice(base_url="http://user:hunter2@127.0.0.1:9"))
    assert "hunter2" not in str(caught.value)


def test_a_missing_key_names_the_variable(say: Speaker, service: SpeechService) -> None:
    with pytest.raises(InvalidInput) as caught:
        say("hi", voice=openai(service, api_key_env="NO_SUCH_KEY"))
    assert caught.value.code == "speech.key_missing"
    assert "NO_SUCH_KEY" in caught.value.hint
    assert service.requests == []


@pytest.mark.parametrize("key", ["sk-sécret", "sk-sec\nret", "sk-sec\x7fret", "sk-\u2026"])
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(
    say: Speaker, service: SpeechService, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SPEECH_KEY", key)
    with pytest.raises(InvalidInput) as caught:
        say("hi", voice=openai(service))
    assert caught.value.code == "speech.bad_key"
    assert "SPEECH_KEY" in caught.value.message and "sk-" not in str(caught.value)
    assert service.requests == []


def test_a_request_does_not_print_its_secrets() -> None:
    request = http_voice.SpeechRequest("http://h/tts", {"text": "private words"}, KEY)
    assert KEY not in repr(request)
    assert "private" not in repr(request)
