"""Checks whether a persona can be used now: file, media, consent, voice; for routes and CLI."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.spec import EspeakVoice, PiperVoice

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import SoundstageError
from studio.consents.service import ConsentService
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import HealthCheck, Persona, PersonaHealth
from studio.personas.speaking import PersonaSpeech
from studio.personas.speech_service import look_at
from studio.renders.admission import Admission
from studio.voices.addresses import root_of
from studio.voices.clone_access import usable_clone
from studio.voices.repository import Voices


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
        need = "A consent is on record." if persona.real_person else "Nobody's likeness: none is needed."
        return HealthCheck(name="consent", ok=True, message=need)

    async def _voice(self, persona: Persona) -> HealthCheck:
        try:
            self.admission.check_voice(persona.voice)
            if isinstance(persona.voice, EspeakVoice):
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
