"""Checks whether a persona can be used now: file, media, consent, voice; for routes and CLI."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import httpx
from avatar.spec import EspeakVoice, FliteVoice, OpenAIVoice, PiperVoice, QwenVoice

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.http import NO_LISTENERS, Bounds, OwnListeners
from soundstage.one_line import printable
from studio.consents.service import ConsentService
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import HealthCheck, Persona, PersonaHealth
from studio.personas.speaking import PersonaSpeech
from studio.renders.admission import Admission
from studio.voices.addresses import root_of
from studio.voices.clone_access import name_at_service, usable_clone
from studio.voices.repository import Voices
from studio.voices.speech_server import MAX_ANSWER_BYTES, SpeechServer, read_short_json

MAX_NAMED = 8
BOUNDS = Bounds(silence_s=5.0, answer_bytes=2 * MAX_ANSWER_BYTES, total_s=20.0, connect_s=3.0)
_KEYS = ("id", "voice_id", "name")


async def look_at(
    voice: OpenAIVoice | QwenVoice,
    others: Collection[str] = (),
    listeners: OwnListeners = NO_LISTENERS,
) -> HealthCheck:
    """Its key, whether it answers, whether it has loaded its model, and whether it has this voice.

    Servers differ in what they have: `/v1/audio/voices` (vLLM-Omni and others) names the voices, `/health`
    and `/v1/models` show only that a server answers. What a server does not have is not held against it.
    `others` are voices there that the reader shall not hear of, in lower case.
    """
    try:
        async with SpeechServer(voice.base_url, voice.api_key_env, listeners, BOUNDS).client() as client:
            return await _found(client, voice, others)
    except SoundstageError as error:
        return _ill(error.message, error.hint)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return _ill(
            f"Its speech service {voice.base_url} does not answer.", "Start it, or look at its address."
        )


async def _found(
    client: httpx.AsyncClient, voice: OpenAIVoice | QwenVoice, others: Collection[str]
) -> HealthCheck:
    health, _ = await _request(client, "health")
    if health >= 500:
        return _ill(
            f"Its speech service {voice.base_url} is there, but not ready ({health}).",
            "It may still load its model; look at its log.",
        )
    status, listed = await _request(client, "v1/audio/voices")
    if status == 404:
        status, _ = await _request(client, "v1/models")
    if status in (401, 403):
        hint = (
            f"Check the key in {voice.api_key_env}." if voice.api_key_env else "Name a variable with a key."
        )
        return _ill(f"Its speech service {voice.base_url} refuses the key ({status}).", hint)
    voice_name = name_at_service(voice)
    listed_names = _names(listed)
    names = [name for name in listed_names if name.lower() not in others]
    if listed_names and voice_name.lower() not in {name.lower() for name in names}:
        some = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
        return _ill(
            f"Its speech service {voice.base_url} has no voice {voice_name!r}.",
            f"It has {some or 'none that is yours'}; a cloned one is added with `soundstage voices add`.",
        )
    message = "Its speech service has this voice." if listed_names else "Its speech service can be reached."
    return HealthCheck(name="voice", ok=True, message=message)


async def _request(client: httpx.AsyncClient, path: str) -> tuple[int, Any]:
    """The status, and what the answer says when it is short JSON."""
    async with client.stream("GET", path) as answer:
        return answer.status_code, await read_short_json(answer)


def _names(listed: Any) -> list[str]:
    """Of `{"voices": ["vivian"], "uploaded_voices": [{"name": "ada"}]}` and the forms near it."""
    if not isinstance(listed, dict):
        return []
    found: dict[str, None] = {}
    for part in ("uploaded_voices", "voices", "data"):
        entries = listed.get(part)
        for entry in entries if isinstance(entries, list) else []:
            entry_names = [entry.get(key) for key in _KEYS] if isinstance(entry, dict) else [entry]
            found |= {
                printable(name, "?")[:80]: None for name in entry_names if isinstance(name, str) and name
            }
    return list(found)


def _ill(message: str, hint: str) -> HealthCheck:
    return HealthCheck(name="voice", ok=False, message=message, hint=hint)


@dataclass(frozen=True, slots=True)
class PersonaHealthService:
    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    consents: ConsentService
    admission: Admission
    speech: PersonaSpeech

    async def of(self, persona_id: str) -> PersonaHealth:
        """All checks, also after one that fails. Raises `persona.not_found`."""
        status = self.library.status(persona_id)
        checks = [
            HealthCheck(
                name="file",
                ok=status.state == "ready",
                message=status.error or f"{status.file} is in order.",
                hint="" if status.state == "ready" else "Mend the file; it is read again by itself.",
            )
        ]
        if status.state != "broken":
            persona = self.library.get(persona_id)
            checks += [await self._media(persona), await self._consent(persona), await self._voice(persona)]
        return PersonaHealth(id=persona_id, healthy=all(check.ok for check in checks), checks=tuple(checks))

    async def _media(self, persona: Persona) -> HealthCheck:
        missing = [
            role
            for role, ref in persona.media().items()
            if ref.sha256 is not None and not await self.blobs.exists(ref.sha256)
        ]
        paths = [role for role, ref in persona.media().items() if ref.sha256 is None]
        if missing or paths:
            return HealthCheck(
                name="media",
                ok=False,
                message=f"The {' and the '.join(missing or paths)} file is not in the store.",
                hint="Upload it again, and name it by its hash.",
            )
        return HealthCheck(name="media", ok=True, message="Every file of the face is there.")

    async def _consent(self, persona: Persona) -> HealthCheck:
        try:
            async with self.db.session() as session:
                await self.consents.stamp_face(session, persona.face)
                await self.consents.stamp_voice(session, persona.voice)
        except SoundstageError as error:
            if error.code.startswith("voice."):
                return HealthCheck(name="consent", ok=True, message="See the voice.")
            return HealthCheck(name="consent", ok=False, message=error.message, hint=error.hint)
        need = (
            "A consent is on record." if persona.real_person else "It shows no real person: none is needed."
        )
        return HealthCheck(name="consent", ok=True, message=need)

    async def _voice(self, persona: Persona) -> HealthCheck:
        try:
            self.admission.check_voice(persona.voice)
            if isinstance(persona.voice, EspeakVoice | FliteVoice):
                self.speech.check_ready()
                return HealthCheck(name="voice", ok=True, message="The worker speaks it.")
            if isinstance(persona.voice, PiperVoice):
                self.speech.check_ready()
                message = "The worker speaks it where Piper and its file are (`soundstage models list`)."
                return HealthCheck(name="voice", ok=True, message=message)
            async with self.db.session() as session:
                await usable_clone(session, persona.voice)
                others = await Voices(session).of_other_tenants(root_of(persona.voice.base_url))
        except SoundstageError as error:
            return HealthCheck(name="voice", ok=False, message=error.message, hint=error.hint)
        return await look_at(persona.voice, others, self.admission.listeners)
