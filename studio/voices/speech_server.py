"""Gives a speech service the sample of a voice, and takes the voice away again. Used by the voice service.

The wire form is `/v1/audio/voices`, which OpenAI has, and Qwen3-TTS behind vLLM-Omni and SGLang-Omni:

- `POST`, multipart: `name`, `audio_sample` (a file) and `consent` (an id) are of all three; `ref_text`, the
  words of the sample, is of the latter two. OpenAI answers with the voice's `id`, and wants as `consent` that
  of a recording that was sent to `/v1/audio/voice_consents` before;
  vLLM-Omni answers `{"success": true, "voice": {"name": …}}` and calls the voice by its name from then on.
- `DELETE /v1/audio/voices/{name}`; 404 for one that is not there.
- `GET` lists `{"voices": […], "uploaded_voices": [{"name": …}]}`.

Sources: docs/serving/speech_api.md of vllm-project/vllm-omni ("Voices Endpoint"); pull request 662 of
sgl-project/sglang-omni; developers.openai.com/api/docs/guides/custom-voices and the reference of
`audio/voice_consents`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from soundstage.errors import Invalid, SoundstageError, Unavailable, Upstream
from soundstage.http import NO_LISTENERS, Bounds, Destinations, OwnListeners, outgoing_client
from soundstage.one_line import printable
from soundstage.settings.outgoing import is_loopback_host
from studio.voices.addresses import address_of

VOICES_PATH = "/v1/audio/voices"
MAX_ANSWER_BYTES = 1 << 20
BOUNDS = Bounds(silence_s=120.0, answer_bytes=2 * MAX_ANSWER_BYTES)
MAX_REASON_CHARS = 160


class UploadUnclear(Exception):
    """The request went out and no usable answer came: the service may have the voice. `error` is told."""

    def __init__(self, error: SoundstageError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Sample:
    """A sound file as it goes out."""

    content: bytes
    media_type: str
    ending: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: object


@dataclass(frozen=True, slots=True)
class SpeechServer:
    """One service. Its key is read from the environment when it is needed, and is in no message."""

    base_url: str
    api_key_env: str | None = None
    listeners: OwnListeners = NO_LISTENERS
    bounds: Bounds = BOUNDS

    @property
    def host(self) -> str:
        url = httpx.URL(self.base_url)
        return url.host + (f":{url.port}" if url.port else "")

    async def upload(self, name: str, sample: Sample, said: str, consent: str) -> str:
        """Returns what the service calls the voice.

        Raises UploadUnclear, and what the service's plain refusals mean: `speech.upstream_denied`,
        `speech.upstream_rejected`, `speech.upstream_unreachable`, `voice.cannot_clone`.
        """
        fields = {"name": name, "consent": consent, "ref_text": said}
        file = (f"{name}.{sample.ending}", sample.content, sample.media_type)
        async with self.client() as client:
            try:
                answer = await self._request(client, "POST", "", data=fields, files={"audio_sample": file})
            except Unavailable as error:
                if error.code == "speech.upstream_unreachable":
                    raise
                raise UploadUnclear(error) from error
        if answer.status in (404, 405, 501):
            raise Upstream(
                "voice.cannot_clone",
                f"The speech service at {self.host} has no {VOICES_PATH} ({answer.status}).",
                "Use one that clones voices, such as Qwen3-TTS Base behind vLLM-Omni.",
            )
        if answer.status >= 500:
            raise UploadUnclear(self._refused(answer))
        if answer.status not in (200, 201):
            raise self._refused(answer)
        called = _name_in(answer.content, name)
        if called is None:
            raise UploadUnclear(
                Upstream(
                    "voice.unclear_answer",
                    f"The speech service at {self.host} took the voice and did not say what it is called.",
                    f"Check that it has {VOICES_PATH}.",
                )
            )
        return called

    async def delete(self, voice_id: str) -> None:
        """One that has gone already is deleted too. Raises `voice.not_deleted` where the service keeps it."""
        async with self.client() as client:
            answer = await self._request(client, "DELETE", "/" + quote(voice_id, safe=""))
            # 404 is the answer for a voice that has gone, and of a service that cannot delete any.
            if answer.status in (404, 405, 501) and not await self._is_gone(client, voice_id):
                raise Unavailable(
                    "voice.not_deleted",
                    f"The speech service at {self.host} does not delete the voice {voice_id}.",
                    "Delete it there by other means; `forget` removes it here without asking the service.",
                )
        if answer.status not in (200, 202, 204, 404, 405, 501):
            raise self._refused(answer)

    async def _is_gone(self, client: httpx.AsyncClient, voice_id: str) -> bool:
        listed = await self._request(client, "GET", "")
        known = {text.lower() for text in _strings(listed.content)}
        return listed.status == 200 and listed.content is not None and voice_id.lower() not in known

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Opens a client with the key. A proxy of the environment is for the outside world. Raises what `key`
        and `address_of` raise.
        """
        headers = {"Authorization": f"Bearer {key}"} if (key := self.key()) else {}
        root = address_of(self.base_url)
        destinations = Destinations(self.listeners, named_by_operator=True)
        async with outgoing_client(
            destinations,
            self.bounds,
            base_url=root,
            headers=headers,
            use_proxies=not is_loopback_host(root.host),
        ) as client:
            yield client

    def key(self) -> str:
        """Empty when it needs none. Raises `speech.key_missing`, and `speech.bad_key` for what no header can
        carry: the client would show it in its own error.
        """
        if not self.api_key_env:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise Unavailable(
                "speech.key_missing",
                f"The speech service needs a key, but the variable {self.api_key_env} is not set.",
                f"Set {self.api_key_env} where the server starts.",
            )
        if not _is_plain(key):
            raise Unavailable(
                "speech.bad_key",
                f"What the variable {self.api_key_env} holds cannot be the key of a speech service.",
                "A key is one line of letters, digits and signs of ASCII; look for a stray character in it.",
            )
        return key

    async def _request(
        self, client: httpx.AsyncClient, method: str, below: str, **content: object
    ) -> _Answer:
        try:
            async with client.stream(method, VOICES_PATH + below, **content) as answer:  # type: ignore[arg-type]
                return _Answer(answer.status_code, await read_short_json(answer))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unavailable(
                "speech.upstream_unreachable",
                f"The speech service at {self.host} does not answer.",
                "Start it, or correct its address.",
            ) from error
        except httpx.TimeoutException as error:
            raise Unavailable(
                "speech.upstream_timeout", f"The speech service at {self.host} took too long.", "Try again."
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                "speech.upstream_failed",
                f"The speech service at {self.host} broke off.",
                "Try again; look at its log.",
            ) from error

    def _refused(self, answer: _Answer) -> SoundstageError:
        if answer.status in (401, 403):
            hint = (
                f"Check the key in {self.api_key_env}."
                if self.api_key_env
                else "Name a variable with its key."
            )
            return Upstream(
                "speech.upstream_denied",
                f"The speech service at {self.host} refused the key ({answer.status}).",
                hint,
            )
        reason = self._reason(answer.content)
        reported = f" ({answer.status})" + (f": {reason}" if reason else ".")
        if answer.status == 429 or answer.status >= 500:
            return Unavailable(
                "speech.upstream_failed",
                f"The speech service at {self.host} failed{reported}",
                "Try again; look at its log.",
            )
        return Invalid(
            "speech.upstream_rejected",
            f"The speech service at {self.host} does not take the request{reported}",
            "Check the sample, and whether the service wants a consent recording of its own.",
        )

    def _reason(self, content: object) -> str:
        """The service's own words: short, printable, and without the key."""
        found = content if isinstance(content, dict) else {}
        reported = found.get("error", found.get("detail", found.get("message")))
        text = reported.get("message") if isinstance(reported, dict) else reported
        if not isinstance(text, str):
            return ""
        if key := os.environ.get(self.api_key_env or "", "").strip():
            text = text.replace(key, "…")
        return printable(text)[:MAX_REASON_CHARS]


async def read_short_json(answer: httpx.Response) -> object:
    """Returns what an answer says that is being received; None unless it is short JSON."""
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _name_in(content: object, name: str) -> str | None:
    """OpenAI answers with an `id`; vLLM-Omni with the name, which it may have put in lower case."""
    if not isinstance(content, dict) or content.get("success") is False:
        return None
    inner = content.get("voice")
    for part in (content, inner if isinstance(inner, dict) else {}):
        for key in ("id", "voice_id", "name"):
            if isinstance(found := part.get(key), str) and 0 < len(found) <= 200 and _is_plain(found):
                return found
    return name if content.get("success") is True else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _strings(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for inner in content.values() if isinstance(content, dict) else content:
            yield from _strings(inner)
