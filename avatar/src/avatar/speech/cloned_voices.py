"""Cloned voices: a sample goes to a speech service only with its speaker's consent, which is kept with the
voice and goes when the voice goes. `avatar voices` calls it.

The wire form is that of `/v1/audio/voices`, which Qwen3-TTS has behind vLLM-Omni: POST multipart with `name`,
`audio_sample`, `consent` (an id; these three are OpenAI's) and `ref_text`, GET for all, DELETE with the
voice's id behind it.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from avatar.encode.atomic import write_error
from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import Consent, OpenAIVoice
from avatar.speech.http_voice import OUTGOING_HEADERS, SpeechRequest, api_key, checked_url, is_local, refusal

FOLDER_VARIABLE = "AVATAR_VOICES"
RECORD = "voice.json"
MAX_SAMPLE_BYTES = 10 * 2**20
"""OpenAI's limit."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SOUNDS = {"wav", "mp3", "flac", "ogg", "m4a", "aac", "webm"}
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)


class ClonedVoice(BaseModel):
    """What is kept of a cloned voice, beside its sample."""

    model_config = ConfigDict(frozen=True)

    name: str
    voice_id: str
    base_url: str
    api_key_env: str | None = None
    consent: Consent
    said: str
    sample: str
    sample_sha256: str
    added_at: str

    def as_voice(self) -> OpenAIVoice:
        """For a persona or a scene; it carries the consent."""
        return OpenAIVoice(
            base_url=self.base_url,
            voice=self.voice_id,
            api_key_env=self.api_key_env,
            cloned=True,
            consent=self.consent,
        )


def voices_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`$AVATAR_VOICES`, else the user's folder of the XDG specification."""
    if named := environment.get(FOLDER_VARIABLE):
        return Path(named)
    base = environment.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "soundstage" / "voices"


class ClonedVoices:
    """The cloned voices below one folder, which only its owner may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list(self) -> list[ClonedVoice]:
        return [self.get(path.parent.name) for path in sorted(self.folder.glob(f"*/{RECORD}"))]

    def get(self, name: str) -> ClonedVoice:
        """Raises InvalidInput `voice.not_found`, `voice.record_damaged`."""
        path = self.folder / _checked(name) / RECORD
        try:
            return ClonedVoice.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            known = ", ".join(sorted(found.parent.name for found in self.folder.glob(f"*/{RECORD}")))
            raise InvalidInput(
                "voice.not_found", f"There is no cloned voice {name}.", f"There are: {known or 'none'}."
            ) from None
        except (ValidationError, OSError) as error:
            raise InvalidInput(
                "voice.record_damaged",
                f"{path} cannot be read: {type(error).__name__}.",
                "Restore it from a copy.",
            ) from error

    def add(
        self,
        name: str,
        sample: Path,
        said: str,
        consent: Consent | None,
        base_url: str,
        *,
        api_key_env: str | None = None,
    ) -> ClonedVoice:
        """Uploads a sample in which `said` is spoken, and keeps it with the consent.

        Nothing leaves this machine without consent. Raises InvalidInput `consent.required`, `voice.exists`,
        `voice.bad_name`, `voice.bad_sample`; and the errors of `http_voice.fetch`.
        """
        if consent is None:
            raise InvalidInput(
                "consent.required",
                "The sample is a person's voice, and no consent of theirs is recorded: it was not uploaded.",
                "Name a file with who agreed, when and to what: "
                '{"id": "…", "person": "…", "granted_at": "2026-01-31", "purpose": "…"}.',
            )
        place = self.folder / _checked(name)
        if place.exists():
            raise InvalidInput("voice.exists", f"There is a cloned voice {name} already.", "Remove it first.")
        data = _sample_bytes(sample)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as staged:
            voice = ClonedVoice(
                name=name,
                voice_id=self._upload(base_url, api_key_env, name, sample, data, said, consent),
                base_url=base_url,
                api_key_env=api_key_env,
                consent=consent,
                said=said,
                sample=f"sample{sample.suffix.lower()}",
                sample_sha256=hashlib.sha256(data).hexdigest(),
                added_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            try:
                kept = Path(staged) / name
                kept.mkdir(mode=0o700)
                (kept / voice.sample).write_bytes(data)
                (kept / RECORD).write_text(voice.model_dump_json(indent=1) + "\n", encoding="utf-8")
                kept.rename(place)
            except OSError as error:
                # A voice without its record must not stay at the service.
                self._delete(voice)
                raise write_error(error, place) from error
        return voice

    def remove(self, name: str) -> ClonedVoice:
        """Deletes the voice at its service, then sample and consent here.

        When the service cannot be asked, all stays, so that it can be tried again.
        """
        voice = self.get(name)
        self._delete(voice)
        shutil.rmtree(self.folder / voice.name)
        return voice

    def _upload(
        self,
        base_url: str,
        api_key_env: str | None,
        name: str,
        sample: Path,
        data: bytes,
        said: str,
        consent: Consent,
    ) -> str:
        request = _request(base_url, api_key_env)
        kind = mimetypes.guess_type(sample.name)[0] or "audio/wav"
        fields = {"name": name, "consent": consent.id, "ref_text": said}
        with _asked(request) as client:
            answer = client.post(
                request.url,
                data=fields,
                files={"audio_sample": (f"{name}{sample.suffix.lower()}", data, kind)},
            )
        if answer.status_code not in (200, 201):
            raise _failure(answer, request)
        return _voice_id(answer, name, request)

    def _delete(self, voice: ClonedVoice) -> None:
        request = _request(voice.base_url, voice.api_key_env, voice.voice_id)
        with _asked(request) as client:
            answer = client.delete(request.url)
            # 404 is the answer for a voice that has gone, and of a service that cannot delete any.
            gone = answer.status_code == 404 and _is_gone(client, request, voice.voice_id)
        if answer.status_code in (404, 405, 501) and not gone:
            raise Unavailable(
                "voice.not_deleted",
                f"The speech service at {request.host} does not delete the voice {voice.voice_id}.",
                "Delete it there by other means; its record is kept until the service has it no more.",
            )
        if answer.status_code not in (200, 202, 204, 404):
            raise _failure(answer, request)


def _is_gone(client: httpx.Client, request: SpeechRequest, voice_id: str) -> bool:
    answer = client.get(request.url.rpartition("/")[0])
    if answer.status_code != 200:
        return False
    try:
        return voice_id not in _strings(answer.json())
    except ValueError:
        return False


def _strings(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for inner in content.values() if isinstance(content, dict) else content:
            yield from _strings(inner)


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            "voice.bad_name",
            f"{name!r} cannot be the name of a voice.",
            "Use up to 64 letters, digits, - and _, with a letter or digit first.",
        )
    return name


def _sample_bytes(sample: Path) -> bytes:
    try:
        size = sample.stat().st_size
        if sample.suffix.lower().lstrip(".") not in _SOUNDS or not 0 < size <= MAX_SAMPLE_BYTES:
            raise InvalidInput(
                "voice.bad_sample",
                f"{sample.name} cannot be the sample of a voice: {size} bytes.",
                f"Use a sound file of up to {MAX_SAMPLE_BYTES >> 20} MiB: {', '.join(sorted(_SOUNDS))}.",
            )
        return sample.read_bytes()
    except OSError as error:
        raise InvalidInput(
            "voice.bad_sample", f"{sample} cannot be read: {error.strerror}.", "Check the path."
        ) from error


def _request(base_url: str, api_key_env: str | None, voice_id: str | None = None) -> SpeechRequest:
    url = checked_url(base_url)
    path = url.path.rstrip("/").removesuffix("/audio/speech").removesuffix("/v1") + "/v1/audio/voices"
    address = str(url.copy_with(path=path))
    if voice_id is not None:
        address += "/" + httpx.URL("http://x/").copy_with(path=f"/{voice_id}").raw_path[1:].decode()
    return SpeechRequest(address, {}, api_key(api_key_env), api_key_env)


@contextmanager
def _asked(request: SpeechRequest) -> Iterator[httpx.Client]:
    headers = {**OUTGOING_HEADERS, **({"Authorization": f"Bearer {request.key}"} if request.key else {})}
    try:
        with httpx.Client(
            timeout=_TIMEOUT, headers=headers, follow_redirects=False, trust_env=not is_local(request)
        ) as client:
            yield client
    except httpx.TransportError as error:
        raise Unavailable(
            "speech.upstream_unreachable",
            f"The speech service at {request.host} does not answer.",
            "Start it, or correct the address of the voice.",
        ) from error


def _failure(answer: httpx.Response, request: SpeechRequest) -> Exception:
    found = refusal(answer, request)
    passing = getattr(found, "error", found)  # what passes carries its error
    return passing if isinstance(passing, AvatarError) else found


def _voice_id(answer: httpx.Response, name: str, request: SpeechRequest) -> str:
    """OpenAI answers `{"id"}`, vLLM-Omni `{"voice": {"name"}}`."""
    try:
        content = answer.json()
        inner = content.get("voice")
        told = content.get("id") or (inner.get("name") if isinstance(inner, dict) else inner) or name
        if not isinstance(told, str) or not 0 < len(told) <= 200:
            raise ValueError(told)
        return told
    except (ValueError, AttributeError) as error:
        raise Unavailable(
            "voice.unclear_answer",
            f"The speech service at {request.host} took the voice and did not say what it is called.",
            "Check that it has /v1/audio/voices.",
        ) from error
