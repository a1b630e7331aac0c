"""Speech from HTTP voices: one request per passage; used by `speak`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avatar.spec import OpenAIVoice, QwenVoice
from avatar.speech.http_voice import SpeechRequest, api_key, check_url, fetch
from avatar.speech.markup import Script
from avatar.speech.passages import speak_in_passages
from avatar.tracks import SpeechTrack

RequestMaker = Callable[[str, float], SpeechRequest]


def from_service(
    script: Script,
    voice: OpenAIVoice | QwenVoice,
    language: str,
    pronunciation: dict[str, str],
    wav: Path,
    lead_in_ms: int,
    tail_ms: int,
) -> SpeechTrack:
    """Speak a script through an HTTP service. Raises the errors of `http_voice.fetch` and
    `passages.speak_in_passages`.
    """
    request = request_maker(voice, language)

    def say(words: Sequence[str], pace: float, answer: Path) -> None:
        fetch(request(" ".join(words), pace), answer)

    speaker = f"the speech service at {request('', 1.0).host}"
    return speak_in_passages(script, say, speaker, language, pronunciation, wav, lead_in_ms, tail_ms)


def request_maker(voice: OpenAIVoice | QwenVoice, language: str) -> RequestMaker:
    """A function from text and pace to request; raises InvalidInput for a bad address or a missing key."""
    if isinstance(voice, OpenAIVoice):
        return _openai(voice)
    return _qwen(voice, language)


def _openai(voice: OpenAIVoice) -> RequestMaker:
    """`POST {base}/v1/audio/speech`; a base that already ends in `/v1` (or in the whole path) is taken as it
    is.
    """
    url = check_url(voice.base_url)
    path = url.path.rstrip("/")
    if not path.endswith("/audio/speech"):
        path += "/audio/speech" if path.endswith("/v1") else "/v1/audio/speech"
    address = str(url.copy_with(path=path))
    key = api_key(voice.api_key_env)

    def request(text: str, pace: float) -> SpeechRequest:
        body = {
            "model": voice.model,
            "input": text,
            "voice": voice.voice,
            "response_format": "wav",
            "speed": min(4.0, max(0.25, round(voice.speed * pace, 3))),
        }
        return SpeechRequest(address, body, key, voice.api_key_env)

    return request


def _qwen(voice: QwenVoice, language: str) -> RequestMaker:
    """`POST {base}/tts` with text, voice_id and language; a base with a path of its own is posted to as it
    is.
    """
    url = check_url(voice.base_url)
    address = str(url if url.path.strip("/") else url.copy_with(path="/tts"))
    key = api_key(voice.api_key_env)

    def request(text: str, pace: float) -> SpeechRequest:
        # The wire form has no pace.
        body = {
            "text": text,
            "voice_id": voice.voice_id,
            "language": voice.language or language,
            "format": "wav",
        }
        return SpeechRequest(address, body, key, voice.api_key_env)

    return request
