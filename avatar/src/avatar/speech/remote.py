"""Speech from HTTP voices: one request per passage; used by `speak`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avatar.spec import OpenAIVoice, QwenVoice
from avatar.speech.http_voice import SpeechRequest, api_key, check_url, fetch
from avatar.speech.markup import Script, SpeechTask
from avatar.speech.passages import speak_in_passages
from avatar.tracks import SpeechTrack


def from_service(script: Script, voice: OpenAIVoice | QwenVoice, task: SpeechTask) -> SpeechTrack:
    """Speak a script through an HTTP service. Raises the errors of `http_voice.fetch` and
    `passages.speak_in_passages`; before anything is said InvalidInput for a bad address or a missing key.
    """

    def say(words: Sequence[str], pace: float, answer: Path) -> None:
        fetch(_request(voice, task.language, " ".join(words), pace), answer)

    speaker = f"the speech service at {_request(voice, task.language, '', 1.0).host}"
    return speak_in_passages(script, say, speaker, task)


def _request(voice: OpenAIVoice | QwenVoice, language: str, text: str, pace: float) -> SpeechRequest:
    """`POST {base}/v1/audio/speech`; a base that already ends in `/v1` (or in the whole path) is taken as it
    is. Of Qwen `POST {base}/tts`; a base with a path of its own is posted to as it is.
    """
    url = check_url(voice.base_url)
    body: dict[str, Any]
    if isinstance(voice, OpenAIVoice):
        path = url.path.rstrip("/")
        if not path.endswith("/audio/speech"):
            path += "/audio/speech" if path.endswith("/v1") else "/v1/audio/speech"
        url = url.copy_with(path=path)
        body = {
            "model": voice.model,
            "input": text,
            "voice": voice.voice,
            "response_format": "wav",
            "speed": min(4.0, max(0.25, round(voice.speed * pace, 3))),
        }
    else:
        url = url if url.path.strip("/") else url.copy_with(path="/tts")
        # The wire form has no pace.
        body = {
            "text": text,
            "voice_id": voice.voice_id,
            "language": voice.language or language,
            "format": "wav",
        }
    return SpeechRequest(str(url), body, api_key(voice.api_key_env), voice.api_key_env)
