"""Recognises speech by a server with `/v1/audio/transcriptions`: OpenAI, speaches, whisper.cpp, vLLM.

The request is multipart: `file` (WAV), `model`, `response_format=verbose_json`, `language`, and
`timestamp_granularities[]` twice (`word`, `segment`). The answer has `text`, `language`, `words` with `word`,
`start`, `end` in seconds, and `segments` with `avg_logprob`. Servers differ: whisper.cpp has the words in its
segments, with a `probability` each; some have no words at all, and their segments' time is divided.
Source: the reference of `audio/createTranscription` at platform.openai.com.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from agent.transcription.recognition import OnPartial, TimedWord, Transcript, wav_of
from soundstage.errors import Invalid, SoundstageError, Unavailable, Upstream
from soundstage.http import Bounds, Destinations, OwnListeners, outgoing_client
from soundstage.one_line import one_line
from soundstage.settings.conversation import TranscriptionSettings
from soundstage.settings.outgoing import is_loopback_host

ANSWER_BYTES = 32 << 20
CONNECT_S = 5.0
UNKNOWN = 0.8
"""The confidence of a word of which the server says nothing."""
MAX_REASON_CHARS = 160


class _Word(BaseModel):
    word: str
    start: float = Field(0.0, ge=0, le=1e6)
    end: float = Field(0.0, ge=0, le=1e6)
    probability: float | None = None


class _Segment(BaseModel):
    text: str = ""
    start: float = Field(0.0, ge=0, le=1e6)
    end: float = Field(0.0, ge=0, le=1e6)
    avg_logprob: float | None = None
    words: tuple[_Word, ...] = ()

    @property
    def confidence(self) -> float:
        return UNKNOWN if self.avg_logprob is None else math.exp(max(-50.0, min(0.0, self.avg_logprob)))


class _Answer(BaseModel):
    text: str
    language: str | None = None
    words: tuple[_Word, ...] | None = None
    segments: tuple[_Segment, ...] | None = None


class OpenAIRecogniser:
    """A server that the settings name."""

    def __init__(self, settings: TranscriptionSettings, listeners: OwnListeners) -> None:
        self._settings = settings
        self._listeners = listeners
        self._root = str(settings.base_url).rstrip("/")
        self._host = httpx.URL(self._root).host

    @property
    def name(self) -> str:
        return f"{self._settings.model or 'the model'} at {self._host}"

    async def recognise(
        self, pcm: bytes, language: str = "", on_partial: OnPartial | None = None
    ) -> Transcript:
        form = {
            "model": self._settings.model,
            "response_format": "verbose_json",
            "timestamp_granularities[]": ["word", "segment"],
            **({"language": language} if language else {}),
        }
        answer = await self._post(form, {"file": ("speech.wav", wav_of(pcm), "audio/wav")})
        try:
            found = _Answer.model_validate_json(answer)
        except ValidationError as error:
            raise Upstream(
                "transcription.bad_answer",
                f"The recogniser at {self._host} answers in a form that is not known.",
                "It should answer `response_format=verbose_json`; look at its log, or choose another server.",
            ) from error
        return Transcript(" ".join(found.text.split()), tuple(_words(found)), found.language or language)

    async def close(self) -> None:
        """Does nothing: each request has a connection of its own."""

    async def _post(self, form: dict[str, Any], files: dict[str, Any]) -> bytes:
        settings = self._settings
        key = settings.api_key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        bounds = Bounds(silence_s=settings.timeout_s, answer_bytes=ANSWER_BYTES, connect_s=CONNECT_S)
        client = outgoing_client(
            Destinations(self._listeners, named_by_operator=True),
            bounds,
            headers=headers,
            use_proxies=not is_loopback_host(self._host),
        )
        try:
            async with client:
                answer = await client.post(f"{self._root}/audio/transcriptions", data=form, files=files)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unavailable(
                "transcription.unreachable",
                f"The recogniser at {self._host} does not answer.",
                "Start it, or correct `transcription.base_url`.",
            ) from error
        except httpx.TimeoutException as error:
            raise Unavailable(
                "transcription.timeout",
                f"The recogniser at {self._host} took longer than {settings.timeout_s:g} s.",
                "Send a shorter recording, or raise `transcription.timeout_s`.",
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                "transcription.failed", f"The recogniser at {self._host} broke off.", "Look at its log."
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer)
        return answer.content

    def _refusal(self, answer: httpx.Response) -> SoundstageError:
        status = answer.status_code
        if status in (401, 403):
            return Upstream(
                "transcription.denied",
                f"The recogniser at {self._host} refuses the key ({status}).",
                "Check the key in `transcription.api_key_file`.",
            )
        reason = _reason(answer)
        text = f"({status}){f': {reason}' if reason else '.'}"
        if status == 429 or status >= 500:
            return Unavailable(
                "transcription.failed", f"The recogniser at {self._host} failed {text}", "Try again later."
            )
        return Invalid(
            "transcription.rejected",
            f"The recogniser at {self._host} does not take the request {text}",
            "Check `transcription.base_url` and `transcription.model`.",
        )


def _words(answer: _Answer) -> Sequence[TimedWord]:
    """Returns the words with the confidence of their own, or of the segment in which they are."""
    segments = answer.segments or ()
    if answer.words:
        return [_timed(word, _confidence_at(word.start, segments)) for word in answer.words]
    inside = [(word, one.confidence) for one in segments for word in one.words]
    if inside:
        return [_timed(word, confidence) for word, confidence in inside]
    return [word for one in segments for word in _divided(one)]


def _timed(word: _Word, confidence: float) -> TimedWord:
    start_ms = round(word.start * 1000)
    sure = confidence if word.probability is None else min(1.0, max(0.0, word.probability))
    return TimedWord(word.word.strip(), start_ms, max(start_ms, round(word.end * 1000)), sure)


def _confidence_at(start_s: float, segments: Sequence[_Segment]) -> float:
    found = [one for one in segments if one.start <= start_s <= one.end]
    return found[0].confidence if found else UNKNOWN


def _divided(segment: _Segment) -> Sequence[TimedWord]:
    """Returns the words of a segment that has none of its own; each is as long as it has letters."""
    words = segment.text.split()
    letters = sum(map(len, words))
    at, step_ms = segment.start * 1000, (segment.end - segment.start) * 1000 / max(1, letters)
    found = []
    for word in words:
        end = at + len(word) * step_ms
        found.append(TimedWord(word, round(at), round(end), segment.confidence))
        at = end
    return found


def _reason(answer: httpx.Response) -> str:
    try:
        content = answer.json()
        error = content.get("error", content.get("detail", ""))
        text = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        text = ""
    return str(one_line(str(text)))[:MAX_REASON_CHARS]
