"""Speech from HTTP voices: one request per passage; used by `speak`."""

from __future__ import annotations

from pathlib import Path

from avatar.spec import OpenAIVoice, QwenVoice
from avatar.speech.http_voice import fetch
from avatar.speech.markup import Script
from avatar.speech.passages import speak_in_passages
from avatar.speech.voices import request_maker
from avatar.tracks import SpeechTrack


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

    def say(text: str, answer: Path) -> None:
        fetch(request(text), answer)

    speaker = f"the speech service at {request('').host}"
    return speak_in_passages(script, say, speaker, language, pronunciation, wav, lead_in_ms, tail_ms)
